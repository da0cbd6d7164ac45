package chart

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// PNG is the chart as a picture of Width·Scale by Height·Scale pixels.
func (c *Chart) PNG() ([]byte, error) {
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	r := &raster{image: image.NewRGBA(image.Rect(0, 0, Width*Scale, Height*Scale)), font: parsed}
	c.draw(r)
	var out bytes.Buffer
	if r.err == nil {
		r.err = png.Encode(&out, r.image)
	}
	return out.Bytes(), r.err
}

type raster struct {
	image *image.RGBA
	font  *opentype.Font
	err   error
}

// fill paints closed paths, in SVG units, whose overlaps are painted once.
func (r *raster) fill(c color.RGBA, paths ...[]Point) {
	low, high := Point{math.Inf(1), math.Inf(1)}, Point{math.Inf(-1), math.Inf(-1)}
	for _, path := range paths {
		for _, p := range path {
			low, high = Point{min(low.X, p.X), min(low.Y, p.Y)}, Point{max(high.X, p.X), max(high.Y, p.Y)}
		}
	}
	box := image.Rect(int(math.Floor(low.X*Scale)), int(math.Floor(low.Y*Scale)), int(math.Ceil(high.X*Scale)), int(math.Ceil(high.Y*Scale)))
	if len(paths) == 0 || box.Empty() {
		return
	}
	v := vector.NewRasterizer(box.Dx(), box.Dy())
	for _, path := range paths {
		for i, p := range path {
			x, y := float32(p.X*Scale-float64(box.Min.X)), float32(p.Y*Scale-float64(box.Min.Y))
			if i == 0 {
				v.MoveTo(x, y)
			} else {
				v.LineTo(x, y)
			}
		}
		v.ClosePath()
	}
	v.Draw(r.image, box, image.NewUniform(c), image.Point{})
}

func (r *raster) line(points []Point, width float64, dashed bool, c color.RGBA) {
	if dashed {
		for _, part := range dashes(points) {
			r.line(part, width, false, c)
		}
		return
	}
	var paths [][]Point
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		length := math.Hypot(b.X-a.X, b.Y-a.Y)
		if length == 0 {
			continue
		}
		x, y := -(b.Y-a.Y)/length*width/2, (b.X-a.X)/length*width/2
		// Clockwise as the discs are: windings of one sign don't cancel.
		paths = append(paths, []Point{{a.X - x, a.Y - y}, {b.X - x, b.Y - y}, {b.X + x, b.Y + y}, {a.X + x, a.Y + y}})
		if i > 1 {
			paths = append(paths, circle(a, width/2))
		}
	}
	r.fill(c, paths...)
}

// dashes cuts a line into strokes of 6 units with gaps of 5.
func dashes(points []Point) (out [][]Point) {
	const on, off = 6.0, 5.0
	at := 0.0 // along the line
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		length := math.Hypot(b.X-a.X, b.Y-a.Y)
		for k := math.Floor(at / (on + off)); k*(on+off) < at+length; k++ {
			from, to := max(k*(on+off)-at, 0), min(k*(on+off)+on-at, length)
			if from < to {
				along := func(s float64) Point { return Point{a.X + (b.X-a.X)*s/length, a.Y + (b.Y-a.Y)*s/length} }
				out = append(out, []Point{along(from), along(to)})
			}
		}
		at += length
	}
	return out
}

func circle(centre Point, radius float64) []Point {
	out := make([]Point, 24)
	for i := range out {
		angle := 2 * math.Pi * float64(i) / float64(len(out))
		out[i] = Point{centre.X + radius*math.Cos(angle), centre.Y + radius*math.Sin(angle)}
	}
	return out
}

func (r *raster) disc(centre Point, radius float64, c color.RGBA) { r.fill(c, circle(centre, radius)) }

func (r *raster) rect(from, to Point, c color.RGBA) {
	r.fill(c, []Point{from, {to.X, from.Y}, to, {from.X, to.Y}})
}

func (r *raster) text(at Point, size float64, a anchor, turned bool, c color.RGBA, s string) {
	face, err := opentype.NewFace(r.font, &opentype.FaceOptions{Size: size * Scale, DPI: 72})
	if err != nil {
		r.err = err
		return
	}
	width := font.MeasureString(face, s).Ceil()
	metrics := face.Metrics()
	ascent, height := metrics.Ascent.Ceil(), metrics.Ascent.Ceil()+metrics.Descent.Ceil()
	label := image.NewAlpha(image.Rect(0, 0, width, height))
	d := font.Drawer{Dst: label, Src: image.Opaque, Face: face, Dot: fixed.P(0, ascent)}
	d.DrawString(s)
	x, y := int(math.Round(at.X*Scale)), int(math.Round(at.Y*Scale))
	before := [...]int{0, width / 2, width}[a] // pixels of the text before its point
	corner := image.Pt(x-before, y-ascent)
	if turned {
		label, corner = turn(label), image.Pt(x-ascent, y-width+before)
	}
	draw.DrawMask(r.image, label.Bounds().Add(corner), image.NewUniform(c), image.Point{}, label, image.Point{}, draw.Over)
}

// turn rotates a label by 90° to the left.
func turn(label *image.Alpha) *image.Alpha {
	size := label.Bounds().Size()
	out := image.NewAlpha(image.Rect(0, 0, size.Y, size.X))
	for x := range size.X {
		for y := range size.Y {
			out.SetAlpha(y, size.X-1-x, label.AlphaAt(x, y))
		}
	}
	return out
}
