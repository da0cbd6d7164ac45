package chart

import (
	"bytes"
	"encoding/xml"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"strings"
	"testing"
)

func sample() *Chart {
	curve := Series{Name: "model <a>", Points: []Point{{0, 0}, {0.1, 0.6}, {0.4, 0.9}, {1, 1}}}
	return &Chart{Title: "ROC & more", X: "false positive rate", Y: "true positive rate", XRange: [2]float64{0, 1}, YRange: [2]float64{0, 1},
		Series: []Series{{Form: Reference, Points: []Point{{0, 0}, {1, 1}}}, curve,
			{Name: "dots", Form: Dots, Points: []Point{{0.2, 0.2}, {0.8, 0.5}}}, {Form: Bars, Width: 0.1, Points: []Point{{0.5, 0.25}}}}}
}

func TestSVGIsWellFormedAndEscaped(t *testing.T) {
	var text strings.Builder
	elements := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(sample().SVG())); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.StartElement:
			elements[token.Name.Local]++
			for _, a := range token.Attr {
				if a.Name.Local == "href" || strings.Contains(a.Value, "http") && a.Name.Local != "xmlns" {
					t.Errorf("%s refers to %s", token.Name.Local, a.Value)
				}
			}
		}
	}
	for _, want := range []string{"ROC & more", "model <a>", "dots", "true positive rate", "0.2", "1"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in %s", want, text.String())
		}
	}
	if elements["circle"] != 2 || elements["polyline"] < 3 {
		t.Errorf("%v", elements)
	}
}

// Each series' colour is at its own points in the picture, white elsewhere, and words are drawn.
func TestPNGShowsTheSeries(t *testing.T) {
	c := sample()
	data, err := c.PNG()
	if err != nil {
		t.Fatal(err)
	}
	if file := os.Getenv("CHART_PNG"); file != "" { // to look at it
		os.WriteFile(file, data, 0o644)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil || picture.Bounds().Dx() != Width*Scale || picture.Bounds().Dy() != Height*Scale {
		t.Fatalf("%v, %v", picture.Bounds(), err)
	}
	at := func(x, y float64) color.RGBA { // in units of the axes
		px, py := (left+x*(Width-left-right))*Scale, (Height-bottom-y*(Height-top-bottom))*Scale
		r, g, b, a := picture.At(int(math.Round(px)), int(math.Round(py))).RGBA()
		return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), uint8(a >> 8)}
	}
	for _, want := range []struct {
		x, y float64
		c    color.RGBA
	}{{0.1, 0.6, palette[0]}, {0.7, 0.95, palette[0]}, {0.2, 0.2, palette[1]}, {0.5, 0.1, palette[2]}, {0.9, 0.31, white}} {
		if got := at(want.x, want.y); got != want.c {
			t.Errorf("at %g, %g: %v, want %v", want.x, want.y, got, want.c)
		}
	}
	dark := 0
	for y := range int(top / 2 * Scale) {
		for x := range int(Width * Scale) {
			if r, _, _, _ := picture.At(x, y).RGBA(); r < 0x6000 {
				dark++
			}
		}
	}
	if dark < 200 {
		t.Errorf("a title of %d dark pixels", dark)
	}
	again, err := c.PNG()
	if err != nil || !bytes.Equal(again, data) || !bytes.Equal(c.SVG(), c.SVG()) {
		t.Errorf("another picture the second time, %v", err)
	}
}

func TestTicksAreRoundAndFew(t *testing.T) {
	for _, c := range []struct {
		r     [2]float64
		whole bool
		want  string
	}{
		{[2]float64{0, 1}, false, "0 0.2 0.4 0.6 0.8 1"},
		{[2]float64{0.5, 12.5}, false, "2 4 6 8 10 12"},
		{[2]float64{0.331, 0.349}, false, "0.332 0.334 0.336 0.338 0.34 0.342 0.344 0.346 0.348"},
		{[2]float64{1.9, 4.1}, true, "2 3 4"},
		{[2]float64{-1, 1}, false, "-1 -0.5 0 0.5 1"},
		{[2]float64{0, 10400}, false, "0 2000 4000 6000 8000 10000"},
	} {
		var got []string
		for _, v := range ticks(c.r, c.whole) {
			got = append(got, number(v))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %v, want %s", c.r, got, c.want)
		}
	}
}

// A point outside the axes is drawn at their edge.
func TestPointsOutsideStayWithinThePicture(t *testing.T) {
	c := sample()
	c.Series[1].Points = []Point{{-5, 0.5}, {0.5, 7}, {3, -2}}
	if _, err := c.PNG(); err != nil {
		t.Error(err)
	}
}

// A chart of one point, or none, still has axes.
func TestChartsWithoutExtent(t *testing.T) {
	for _, points := range [][]Point{nil, {{3, 4}}, {{3, 4}, {3, 4}}} {
		c := &Chart{Title: "t", Series: []Series{{Form: Dots, Points: points}}}
		if s := string(c.SVG()); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Errorf("%v: %s", points, s)
		}
		if _, err := c.PNG(); err != nil {
			t.Error(err)
		}
	}
}
