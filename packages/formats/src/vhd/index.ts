export {
  encodeVhdFooter,
  parseVhdFooter,
  readVhd,
  vhdFooterSize,
  vhdGeometry,
  vhdSizeUnit,
} from './footer.ts';
export type { VhdFooter, VhdGeometry } from './footer.ts';
