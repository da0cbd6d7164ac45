package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"strings"
)

// SVG is the chart as an SVG element that refers to nothing outside it.
func (c *Chart) SVG() []byte {
	s := &svg{}
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s" font-family="Helvetica, Arial, sans-serif">`+"\n",
		Width, Height, Width, Height, escaped(c.Title))
	c.draw(s)
	s.WriteString("</svg>\n")
	return s.Bytes()
}

type svg struct{ bytes.Buffer }

func (s *svg) line(points []Point, width float64, dashed bool, c color.RGBA) {
	if len(points) < 2 {
		return
	}
	var list strings.Builder
	for _, p := range points {
		fmt.Fprintf(&list, "%.2f,%.2f ", p.X, p.Y)
	}
	dash := ""
	if dashed {
		dash = ` stroke-dasharray="6 5"`
	}
	fmt.Fprintf(s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%g" stroke-linejoin="round"%s/>`+"\n", strings.TrimSpace(list.String()), hex(c), width, dash)
}

func (s *svg) disc(centre Point, radius float64, c color.RGBA) {
	fmt.Fprintf(s, `<circle cx="%.2f" cy="%.2f" r="%g" fill="%s"/>`+"\n", centre.X, centre.Y, radius, hex(c))
}

func (s *svg) rect(from, to Point, c color.RGBA) {
	x, y := min(from.X, to.X), min(from.Y, to.Y)
	fmt.Fprintf(s, `<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" fill="%s"/>`+"\n", x, y, max(from.X, to.X)-x, max(from.Y, to.Y)-y, hex(c))
}

func (s *svg) text(at Point, size float64, a anchor, turned bool, c color.RGBA, text string) {
	turn := ""
	if turned {
		turn = fmt.Sprintf(` transform="rotate(-90 %.2f %.2f)"`, at.X, at.Y)
	}
	fmt.Fprintf(s, `<text x="%.2f" y="%.2f" font-size="%g" text-anchor="%s" fill="%s"%s>%s</text>`+"\n",
		at.X, at.Y, size, [...]string{"start", "middle", "end"}[a], hex(c), turn, escaped(text))
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func escaped(text string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(text)) // writing to a buffer doesn't fail
	return b.String()
}
