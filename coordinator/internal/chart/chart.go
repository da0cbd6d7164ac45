// Package chart draws small line and bar charts as SVG and PNG. The coordinator doesn't link a plotting library; a curve with axes
// needs little. The same chart gives the same bytes.
package chart

import (
	"image/color"
	"math"
	"strconv"
)

// Form is how a series is drawn.
type Form uint8

// The forms of a series.
const (
	Line      Form = iota
	Dots           // a line with a dot at each point
	Bars           // from 0 to each point, as wide as Series.Width
	Reference      // thin, grey and dashed
)

// Point is a point in the chart's own units.
type Point struct{ X, Y float64 }

// Series are points that belong together.
type Series struct {
	Name   string // in the legend; empty: not in it
	Form   Form
	Points []Point
	Width  float64 // of a bar, in units of X
}

// Chart is what is drawn. An axis whose range has no width is fitted to the points.
type Chart struct {
	Title, X, Y    string
	XRange, YRange [2]float64
	WholeX         bool // X counts: no ticks between whole numbers
	Series         []Series
}

// Size of a chart, in SVG user units; a PNG has Scale pixels for each.
const (
	Width, Height = 640.0, 420.0
	Scale         = 2

	left, right, top, bottom = 70.0, 20.0, 40.0, 55.0
	small, normal, large     = 12.0, 13.0, 15.0 // font sizes
)

var (
	ink     = color.RGBA{0x22, 0x22, 0x22, 0xff}
	grey    = color.RGBA{0x88, 0x88, 0x88, 0xff}
	faint   = color.RGBA{0xdd, 0xdd, 0xdd, 0xff}
	white   = color.RGBA{0xff, 0xff, 0xff, 0xff}
	palette = []color.RGBA{{0x1f, 0x5a, 0xa6, 0xff}, {0xc4, 0x4e, 0x20, 0xff}, {0x2e, 0x7d, 0x4f, 0xff}, {0x7b, 0x3f, 0x98, 0xff}}
)

// anchor is which part of a text lies at its point.
type anchor uint8

const (
	start anchor = iota
	middle
	end
)

// surface is what a chart is drawn on: y grows downwards.
type surface interface {
	line(points []Point, width float64, dashed bool, c color.RGBA)
	disc(centre Point, radius float64, c color.RGBA)
	rect(from, to Point, c color.RGBA)
	// text is turned by 90° to the left, if asked, about its point on the baseline.
	text(at Point, size float64, a anchor, turned bool, c color.RGBA, s string)
}

// draw lays the chart out on a surface.
func (c *Chart) draw(s surface) {
	xs, ys := c.ranges()
	place := func(p Point) Point { // a point outside the axes is drawn at their edge
		p = Point{min(max(p.X, xs[0]), xs[1]), min(max(p.Y, ys[0]), ys[1])}
		return Point{left + (p.X-xs[0])/(xs[1]-xs[0])*(Width-left-right), Height - bottom - (p.Y-ys[0])/(ys[1]-ys[0])*(Height-top-bottom)}
	}
	s.rect(Point{0, 0}, Point{Width, Height}, white)
	s.text(Point{Width / 2, top / 2}, large, middle, false, ink, c.Title)
	for _, v := range ticks(xs, c.WholeX) {
		at := place(Point{v, ys[0]})
		s.line([]Point{at, place(Point{v, ys[1]})}, 1, false, faint)
		s.text(Point{at.X, at.Y + 18}, small, middle, false, ink, number(v))
	}
	for _, v := range ticks(ys, false) {
		at := place(Point{xs[0], v})
		s.line([]Point{at, place(Point{xs[1], v})}, 1, false, faint)
		s.text(Point{at.X - 7, at.Y + 4}, small, end, false, ink, number(v))
	}
	s.text(Point{(left + Width - right) / 2, Height - 14}, normal, middle, false, ink, c.X)
	s.text(Point{18, (top + Height - bottom) / 2}, normal, middle, true, ink, c.Y)

	legend, coloured := 0, 0
	for i := range c.Series {
		series := &c.Series[i]
		hue := grey
		if series.Form != Reference {
			hue = palette[coloured%len(palette)]
			coloured++
		}
		series.draw(s, place, hue)
		if series.Name != "" {
			y := top + 18 + 18*float64(legend)
			s.rect(Point{Width - right - 18, y - 9}, Point{Width - right - 8, y + 1}, hue)
			s.text(Point{Width - right - 24, y}, small, end, false, ink, series.Name)
			legend++
		}
	}
	corner := place(Point{xs[0], ys[0]})
	s.line([]Point{place(Point{xs[0], ys[1]}), corner, place(Point{xs[1], ys[0]})}, 1.2, false, ink)
}

func (s *Series) draw(on surface, place func(Point) Point, hue color.RGBA) {
	if s.Form == Bars {
		for _, p := range s.Points {
			on.rect(place(Point{p.X - s.Width/2, p.Y}), place(Point{p.X + s.Width/2, 0}), hue)
		}
		return
	}
	var line []Point
	for _, p := range s.Points {
		line = append(line, place(p))
	}
	width := 2.0
	if s.Form == Reference {
		width = 1.2
	}
	on.line(line, width, s.Form == Reference, hue)
	if s.Form == Dots {
		for _, p := range line {
			on.disc(p, 3.5, hue)
		}
	}
}

// ranges are the axes' ends.
func (c *Chart) ranges() (xs, ys [2]float64) {
	xs, ys = [2]float64{math.Inf(1), math.Inf(-1)}, [2]float64{math.Inf(1), math.Inf(-1)}
	grow := func(r *[2]float64, v float64) { r[0], r[1] = min(r[0], v), max(r[1], v) }
	for _, s := range c.Series {
		for _, p := range s.Points {
			grow(&xs, p.X-s.Width/2)
			grow(&xs, p.X+s.Width/2)
			grow(&ys, p.Y)
			if s.Form == Bars {
				grow(&ys, 0)
			}
		}
	}
	return fit(xs, c.XRange), fit(ys, c.YRange)
}

// fit gives the asked range, or else one with some room about the points.
func fit(points, asked [2]float64) [2]float64 {
	switch {
	case asked[1] > asked[0]:
		return asked
	case points[1] > points[0]:
		room := (points[1] - points[0]) / 20
		if points[0] == 0 { // an axis that starts at 0 does
			return [2]float64{0, points[1] + room}
		}
		return [2]float64{points[0] - room, points[1] + room}
	case points[1] == points[0]:
		return [2]float64{points[0] - 1, points[0] + 1}
	}
	return [2]float64{0, 1} // no points
}

// ticks are round numbers within a range, from four to ten or so.
func ticks(r [2]float64, whole bool) (out []float64) {
	step := math.Pow(10, math.Floor(math.Log10((r[1]-r[0])/4)))
	for _, k := range []float64{5, 2} {
		if (r[1]-r[0])/(k*step) >= 4 {
			step *= k
			break
		}
	}
	if whole {
		step = max(step, 1)
	}
	for i := math.Ceil(r[0]/step - 1e-9); i*step <= r[1]+step*1e-9; i++ {
		out = append(out, i*step)
	}
	return out
}

// number shows a tick without the digits that floating point adds.
func number(v float64) string {
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
