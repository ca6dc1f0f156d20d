// What the browser remembers for the next visit. It may refuse (private windows, settings); then nothing is lost but
// that.

export function recall(key) {
  try {
    return localStorage.getItem(`sotong.${key}`);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`sotong.${key}`, value);
  } catch {
    // refused
  }
}
