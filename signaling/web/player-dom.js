// The page's elements, and the visitor's choices in localStorage.

export const find = (id) => document.getElementById(id);
export const root = document.documentElement;
export const video = find('video');

const PREFIX = 'visavis.';

/** Null where nothing was saved, or there is no storage. */
export function loadChoice(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function saveChoice(name, value) {
  try {
    if (value) localStorage.setItem(PREFIX + name, value);
    else localStorage.removeItem(PREFIX + name);
  } catch {
    // Browsers may deny storage, to frames for example.
  }
}

/** Sets a text only if it differs, as screen readers announce every change of a live region. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows or hides a section of the side column, and the column itself while it is empty. */
export function showSection(section, shown) {
  section.hidden = !shown;
  find('side').hidden = [...find('side').children].every(({ hidden }) => hidden);
  root.toggleAttribute('data-side', !find('side').hidden);
}
