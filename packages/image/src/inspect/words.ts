/** Splits a kernel command line into its words: blanks separate, double quotes hold together (lib/cmdline.c, next_arg). */

export function splitCommandLine(line: string): readonly string[] {
  const words: string[] = [];
  let word = '';
  let quoted = false;
  for (const character of line) {
    if (character === '"') quoted = !quoted;
    if (!quoted && /[\s\0]/.test(character)) {
      if (word !== '') words.push(word);
      word = '';
    } else {
      word += character;
    }
  }
  if (word !== '') words.push(word);
  return words;
}

/** The last value given to a parameter: what the kernel and systemd go by. */
export function lastValue(words: readonly string[], name: string): string | undefined {
  return words.findLast((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}
