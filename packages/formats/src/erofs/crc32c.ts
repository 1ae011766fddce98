/** CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), as RFC 3720 appendix B.4 has it. */

const table = new Uint32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0x82f6_3b78 : 0);
  return value;
});

/** Without the final inversion, which EROFS leaves out. */
export function crc32cRaw(bytes: Uint8Array, seed = 0xffff_ffff): number {
  let crc = seed;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0);
  return crc >>> 0;
}
