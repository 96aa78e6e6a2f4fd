// The page's elements, and what it remembers of a visitor's choices.

export const find = (id) => document.getElementById(id);
export const root = document.documentElement;
export const video = find('video');

const PREFIX = 'visavis.';

/** What was chosen before; null where nothing was, or the browser remembers nothing. */
export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    if (value) localStorage.setItem(PREFIX + name, value);
    else localStorage.removeItem(PREFIX + name);
  } catch {
    // A page in a frame may have no storage.
  }
}

/** Changes a text only where it is another: who listens to the page is told each change. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The column beside the picture is there while something is in it. */
export function showSection(section, shown) {
  section.hidden = !shown;
  find('side').hidden = [...find('side').children].every(({ hidden }) => hidden);
  root.toggleAttribute('data-side', !find('side').hidden);
}
