/** The order of package versions: deb-version(7), sections "Sorting algorithm". */

/** Negative when `a` is older. Works on any text; what is no version compares in some fixed order. */
export function compareDebianVersions(a: string, b: string): number {
  if (a === b) return 0;
  const left = split(a);
  const right = split(b);
  return (
    Math.sign(left.epoch - right.epoch) ||
    comparePart(left.upstream, right.upstream) ||
    comparePart(left.revision, right.revision)
  );
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const [, epoch = '0', rest = version] = /^(\d+):(.*)$/s.exec(version) ?? [];
  const dash = rest.lastIndexOf('-');
  const upstream = dash === -1 ? rest : rest.slice(0, dash);
  return { epoch: Number(epoch), upstream, revision: dash === -1 ? '0' : rest.slice(dash + 1) };
}

/** Alternately a run of non-digits, compared character by character, and a run of digits, compared as a number. */
function comparePart(a: string, b: string): number {
  let left = a;
  let right = b;
  while (left !== '' || right !== '') {
    const [leftText = ''] = /^\D*/.exec(left) ?? [];
    const [rightText = ''] = /^\D*/.exec(right) ?? [];
    for (let at = 0; at < Math.max(leftText.length, rightText.length); at += 1) {
      const difference = weight(leftText.charAt(at)) - weight(rightText.charAt(at));
      if (difference !== 0) return Math.sign(difference);
    }
    left = left.slice(leftText.length);
    right = right.slice(rightText.length);
    const [leftDigits = ''] = /^\d*/.exec(left) ?? [];
    const [rightDigits = ''] = /^\d*/.exec(right) ?? [];
    const leftNumber = leftDigits.replace(/^0+/, '');
    const rightNumber = rightDigits.replace(/^0+/, '');
    // Digits of any length: the longer number is the larger, equally long ones compare as text.
    if (leftNumber.length !== rightNumber.length) return Math.sign(leftNumber.length - rightNumber.length);
    if (leftNumber !== rightNumber) return leftNumber < rightNumber ? -1 : 1;
    left = left.slice(leftDigits.length);
    right = right.slice(rightDigits.length);
  }
  return 0;
}

/** A tilde sorts before the end, letters before everything else. */
function weight(char: string): number {
  if (char === '~') return -1;
  if (char === '') return 0;
  const code = char.charCodeAt(0);
  return /[A-Za-z]/.test(char) ? code : code + 0x1_0000;
}
