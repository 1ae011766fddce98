/** Object identifiers of CMS (RFC 5652 section 14) and Authenticode. */

export const contentTypes = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  spcIndirectData: '1.3.6.1.4.1.311.2.1.4',
} as const;

export const attributeTypes = {
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  spcOpusInfo: '1.3.6.1.4.1.311.2.1.12',
} as const;

export const spcPeImageData = '1.3.6.1.4.1.311.2.1.15';
