/**
 * Device paths as text (UEFI 2.10 sections 10.3 and 10.6.1.6): nodes a machine boots from get their name,
 * every other node the generic `Path(type,subtype,data)`.
 */

import { ByteReader, FormatError, parseGuid, toHex } from '../bytes/index.ts';
import { utf16Text } from './text.ts';

const mostNodes = 64;
const endType = 0x7f;

/** Empty for an empty path. `base` is the offset of the path in the log. @throws FormatError */
export function formatDevicePath(bytes: Uint8Array, { base = 0 }: { readonly base?: number } = {}): string {
  const reader = new ByteReader(bytes, { base });
  const paths: string[] = [];
  let nodes: string[] = [];
  for (let count = 0; reader.remaining > 0; count += 1) {
    const offset = reader.offset;
    if (count >= mostNodes) {
      throw new FormatError('too-large', `device path: more than ${mostNodes} nodes`, { offset });
    }
    const type = reader.u8('node type');
    const subtype = reader.u8('node subtype');
    const length = reader.u16('node length');
    if (length < 4) throw new FormatError('malformed', `device path node of ${length} bytes`, { offset });
    const data = reader.bytes(length - 4, 'device path node');
    if (type !== endType) {
      nodes.push(formatNode({ type, subtype, data, offset: offset + 4 }));
      continue;
    }
    paths.push(nodes.join('/'));
    nodes = [];
    if (subtype === 0xff) {
      reader.end('device path');
      return paths.join(',');
    }
  }
  if (nodes.length > 0 || paths.length > 0) {
    throw new FormatError('truncated', 'device path without its end', { offset: reader.offset });
  }
  return '';
}

interface Node {
  readonly type: number;
  readonly subtype: number;
  readonly data: Uint8Array;
  /** Of the data. */
  readonly offset: number;
}

const hex = (value: number | bigint): string => `0x${value.toString(16).toUpperCase()}`;

type Formatter = (reader: ByteReader, node: Node) => string;

const formatters = new Map<number, Formatter>([
  [0x0101, pci],
  [0x0103, (r) => `MemoryMapped(${hex(r.u32('memory type'))},${hex(r.u64('start'))},${hex(r.u64('end'))})`],
  [0x0104, vendor('VenHw')],
  [0x0201, acpi],
  [0x0301, (r) => `Ata(${r.u8('primary')},${r.u8('slave')},${r.u16('LUN')})`],
  [0x0302, (r) => `Scsi(${r.u16('target')},${r.u16('LUN')})`],
  [0x0305, (r) => `USB(${hex(r.u8('port'))},${hex(r.u8('interface'))})`],
  [0x030a, vendor('VenMsg')],
  [0x030b, (r) => `MAC(${toHex(r.bytes(32, 'address').subarray(0, 6))},${hex(r.u8('type'))})`],
  [0x0312, (r) => `Sata(${hex(r.u16('port'))},${hex(r.u16('multiplier'))},${hex(r.u16('LUN'))})`],
  [0x0317, nvme],
  [0x0401, hardDrive],
  [0x0402, (r) => `CDROM(${hex(r.u32('entry'))},${hex(r.u64('start'))},${hex(r.u64('size'))})`],
  [0x0403, vendor('VenMedia')],
  [0x0404, (_, node) => utf16Text(node.data, node.offset)],
  [0x0406, (r) => `FvFile(${guid(r)})`],
  [0x0407, (r) => `Fv(${guid(r)})`],
  [0x0408, offsets],
]);

function formatNode(node: Node): string {
  const reader = new ByteReader(node.data, { base: node.offset });
  const format = formatters.get(node.type * 256 + node.subtype);
  return format === undefined
    ? `Path(${node.type},${node.subtype},${toHex(node.data)})`
    : format(reader, node);
}

function guid(reader: ByteReader): string {
  return parseGuid(reader.bytes(16, 'GUID')).toUpperCase();
}

function pci(reader: ByteReader): string {
  const fn = reader.u8('function');
  return `Pci(${hex(reader.u8('device'))},${hex(fn)})`;
}

/** PNP0A03 and PNP0A08 have names of their own. */
function acpi(reader: ByteReader): string {
  const hid = reader.u32('HID');
  const uid = hex(reader.u32('UID'));
  if ((hid & 0xffff) !== 0x41d0) return `Acpi(${hex(hid)},${uid})`;
  const number = hid >>> 16;
  if (number === 0x0a03) return `PciRoot(${uid})`;
  if (number === 0x0a08) return `PcieRoot(${uid})`;
  return `Acpi(PNP${number.toString(16).toUpperCase().padStart(4, '0')},${uid})`;
}

function vendor(name: string): Formatter {
  return (reader) => {
    const id = guid(reader);
    const rest = toHex(reader.rest());
    return `${name}(${id}${rest === '' ? '' : `,${rest.toUpperCase()}`})`;
  };
}

function nvme(reader: ByteReader): string {
  const namespace = hex(reader.u32('namespace'));
  const eui = Buffer.from(reader.bytes(8, 'EUI-64')).reverse().toString('hex').toUpperCase();
  return `NVMe(${namespace},${eui.replace(/..(?=.)/g, '$&-')})`;
}

function hardDrive(reader: ByteReader): string {
  const number = reader.u32('partition number');
  const start = reader.u64('partition start');
  const size = reader.u64('partition size');
  const signature = reader.bytes(16, 'partition signature');
  reader.u8('table format');
  const kind = reader.u8('signature type');
  const extent = `${hex(start)},${hex(size)}`;
  if (kind === 2) return `HD(${number},GPT,${parseGuid(signature).toUpperCase()},${extent})`;
  const text = kind === 1 ? `MBR,0x${Buffer.from(signature.subarray(0, 4)).reverse().toString('hex')}` : '0';
  return `HD(${number},${text},${extent})`;
}

function offsets(reader: ByteReader): string {
  reader.u32('reserved');
  return `Offset(${hex(reader.u64('start'))},${hex(reader.u64('end'))})`;
}
