/** A tiny UEFI application made of bytes: it writes one line to the console and stays there. */

/** PE32+ for x86-64, unsigned. `line` is printable ASCII. */
export function efiProgram(line: string): Uint8Array<ArrayBuffer> {
  const message = Buffer.from(`\r\n${line}\r\n\0`, 'utf16le');
  // sub rsp,0x28; mov rcx,[rdx+0x40] (ConOut); lea rdx,[rip+5] (message); call [rcx+8] (OutputString); jmp $
  const start = [0x48, 0x83, 0xec, 0x28, 0x48, 0x8b, 0x4a, 0x40, 0x48, 0x8d, 0x15, 5, 0, 0, 0];
  const code = Buffer.concat([Uint8Array.from([...start, 0xff, 0x51, 0x08, 0xeb, 0xfe]), message]);
  const rawSize = Math.ceil(code.length / 512) * 512;
  const bytes = new Uint8Array(512 + rawSize);
  const view = new DataView(bytes.buffer);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  u16(0, 0x5a4d);
  u32(0x3c, 0x80);
  u32(0x80, 0x4550);
  u16(0x84, 0x8664);
  u16(0x86, 1);
  u16(0x94, 240);
  u16(0x96, 0x22);
  const optional = 0x98;
  u16(optional, 0x20b);
  u32(optional + 4, rawSize);
  u32(optional + 16, 0x1000);
  u32(optional + 20, 0x1000);
  u32(optional + 32, 0x1000);
  u32(optional + 36, 512);
  u32(optional + 56, 0x2000);
  u32(optional + 60, 512);
  // Subsystem: EFI application.
  u16(optional + 68, 10);
  u32(optional + 108, 16);
  const section = optional + 240;
  bytes.set(Buffer.from('.text', 'ascii'), section);
  u32(section + 8, code.length);
  u32(section + 12, 0x1000);
  u32(section + 16, rawSize);
  u32(section + 20, 512);
  u32(section + 36, 0x6000_0020);
  bytes.set(code, 512);
  return bytes;
}
