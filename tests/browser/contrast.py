"""Measures how well text stands out, as WCAG 2.2 counts it (1.4.3)."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Locator

ENOUGH = 4.5
"""To 1, for text of normal size."""

# For every text that is shown: its colour and the grounds behind it, from the text
# outwards until one hides the rest. Disabled controls do not count (WCAG: incidental).
_LOOK = """
root => {
  const found = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const parent = walker.currentNode.parentElement;
    if (!text || parent.closest('style, title, :disabled, option')) continue;
    if (!parent.checkVisibility({visibilityProperty: true})) continue;
    const style = getComputedStyle(parent);
    const svg = parent.closest('svg text');
    const grounds = [];
    if (svg) {
      const box = parent.getBoundingClientRect();
      const behind = [...svg.closest('svg').querySelectorAll('rect')].reverse().find(rect => {
        const it = rect.getBoundingClientRect();
        return getComputedStyle(rect).fill !== 'none'
          && it.left <= box.left + 1 && it.right >= box.left + 4
          && it.top <= box.top + box.height / 2 && it.bottom >= box.top + box.height / 2;
      });
      grounds.push(getComputedStyle(behind).fill);
    }
    for (let it = parent; it; it = it.parentElement)
      grounds.push(getComputedStyle(it).backgroundColor);
    found.push([text.slice(0, 40), svg ? style.fill : style.color, grounds]);
  }
  for (const input of root.querySelectorAll('input:not(:disabled), select:not(:disabled)')) {
    if (!input.checkVisibility({visibilityProperty: true})) continue;
    const grounds = [];
    for (let it = input; it; it = it.parentElement)
      grounds.push(getComputedStyle(it).backgroundColor);
    found.push([input.value || 'a field', getComputedStyle(input).color, grounds]);
    if (input.placeholder)
      found.push([input.placeholder, getComputedStyle(input, '::placeholder').color, grounds]);
  }
  return found;
}
"""


@dataclass(frozen=True)
class Text:
    """A text on a page and how well it stands out, to 1."""

    text: str
    contrast: float


def texts(place: Locator) -> list[Text]:
    """Measure every text in a part of a page."""
    return [
        Text(text, _contrast(_over(_parse(color), grounds), _ground(grounds)))
        for text, color, grounds in place.evaluate(_LOOK)
    ]


_Color = tuple[float, float, float, float]


def _parse(color: str) -> _Color:
    numbers = [float(it) for it in color[color.index("(") + 1 : -1].replace("/", ",").split(",")]
    red, green, blue, *alpha = numbers
    return red, green, blue, alpha[0] if alpha else 1.0


def _ground(grounds: list[str]) -> _Color:
    below = (255.0, 255.0, 255.0, 1.0)
    for ground in reversed(grounds):
        below = _mix(_parse(ground), below)
    return below


def _over(color: _Color, grounds: list[str]) -> _Color:
    return _mix(color, _ground(grounds))


def _mix(above: _Color, below: _Color) -> _Color:
    alpha = above[3]
    red, green, blue = (
        alpha * a + (1 - alpha) * b for a, b in zip(above[:3], below[:3], strict=True)
    )
    return red, green, blue, 1.0


def _contrast(one: _Color, other: _Color) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: _Color) -> float:
    def linear(part: float) -> float:
        part /= 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, color[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
