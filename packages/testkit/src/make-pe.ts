/** A small PE32+ image with two sections, for tests that must not depend on somebody's boot program. */

export interface MadePe {
  /** Bytes behind the last section. */
  readonly trailing?: number;
  /** Bytes between the two sections' data; negative makes them overlap. */
  readonly gap?: number;
}

export function makePe({ trailing = 0, gap = 0 }: MadePe): Uint8Array<ArrayBuffer> {
  const second = 2048 + gap;
  const bytes = new Uint8Array(second + 512 + trailing);
  const view = new DataView(bytes.buffer);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  u16(0, 0x5a4d);
  u32(0x3c, 0x80);
  u32(0x80, 0x4550);
  u16(0x84, 0x8664);
  u16(0x86, 2);
  u16(0x94, 240);
  u16(0x96, 0x22e);
  const optional = 0x98;
  u16(optional, 0x20b);
  u32(optional + 32, 4096);
  u32(optional + 36, 512);
  u32(optional + 56, 12288);
  u32(optional + 60, 1024);
  u16(optional + 68, 10);
  u32(optional + 108, 16);
  const sections = optional + 240;
  const layout = [
    { name: '.text', size: 1000, address: 4096, raw: 1024, at: 1024, flags: 0x6000_0020 },
    { name: '.data', size: 300, address: 8192, raw: 512, at: second, flags: 0xc000_0040 },
  ];
  for (const [i, { name, size, address, raw, at, flags }] of layout.entries()) {
    const header = sections + i * 40;
    bytes.set(Buffer.from(name, 'ascii'), header);
    u32(header + 8, size);
    u32(header + 12, address);
    u32(header + 16, raw);
    u32(header + 20, at);
    u32(header + 36, flags);
    for (let k = 0; k < size; k += 1) bytes[at + k] = (k * 31 + i) & 0xff;
  }
  for (let k = 0; k < trailing; k += 1) bytes[second + 512 + k] = k + 1;
  return bytes;
}
