// Looks a page over as a careful colleague would; gives what is wrong with it, in words.
() => {
  const problems = [];
  const seen = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !e.closest(".sr, .skip");
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}.${e.className}`;
  if (document.querySelectorAll("h1").length !== 1) problems.push(`${document.querySelectorAll("h1").length} h1`);
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!field.labels?.length && !field.ariaLabel) problems.push(`no label: ${name(field)} ${field.name}`);
  for (const control of document.querySelectorAll("button, a"))
    if (!control.textContent.trim() && !control.ariaLabel) problems.push(`no name: ${name(control)}`);
  for (const image of document.images) if (!image.hasAttribute("alt")) problems.push(`no alt: ${image.src}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push(`id twice: ${id}`);
  if (document.documentElement.scrollWidth > innerWidth) {
    const wide = [...document.querySelectorAll("body *")]
      .filter((e) => seen(e) && !e.closest(".scroll, .sections") && e.getBoundingClientRect().right > innerWidth + 1);
    problems.push(`wider than the screen: ${wide.slice(0, 3).map(name)}`);
  }
  const rgb = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return { r, g, b, a }; };
  const light = ({ r, g, b }) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.a > 0.9) return colour;
    }
    return { r: 255, g: 255, b: 255 };
  };
  for (const e of document.querySelectorAll("body *")) {
    if (!seen(e) || e.disabled) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(rgb(style.color)), light(ground(e))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) problems.push(`pale ${ratio.toFixed(2)}: ${name(e)} ${e.textContent.trim().slice(0, 20)}`);
  }
  return problems;
}
