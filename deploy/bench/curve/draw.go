package main

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// drawCurve writes curve.png and curve.svg: the mean AUC over ε asked, on a logarithmic axis, with one standard deviation to either side.
func drawCurve(dir string, points []point) error {
	line := struct {
		plotter.XYs
		plotter.YErrors
	}{make(plotter.XYs, len(points)), make(plotter.YErrors, len(points))}
	var ticks plot.ConstantTicks
	for i, p := range points {
		x, err := strconv.ParseFloat(p.Asked, 64)
		if err != nil {
			return err
		}
		line.XYs[i].X, line.XYs[i].Y = x, p.Mean
		line.YErrors[i].Low, line.YErrors[i].High = p.SD, p.SD
		ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprintf("%s (%.2f)", p.Asked, p.Epsilon)})
	}
	mean, dots, err := plotter.NewLinePoints(line)
	if err != nil {
		return err
	}
	spread, err := plotter.NewYErrorBars(line)
	if err != nil {
		return err
	}
	blue := color.RGBA{R: 0x1f, G: 0x5a, B: 0xa6, A: 0xff}
	mean.Color, dots.Color, spread.Color = blue, blue, blue
	dots.Radius, mean.Width = vg.Points(3), vg.Points(1.5)
	p := plot.New()
	p.Title.Text = "Adult, ten participants: what privacy costs"
	p.X.Label.Text = "ε asked (ε by the accountant), one record, δ = 1e-5"
	p.Y.Label.Text = "test AUC, mean ± sd"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks
	p.X.Min, p.X.Max = line.XYs[0].X/1.5, line.XYs[len(points)-1].X*1.5
	p.Add(plotter.NewGrid(), mean, dots, spread)
	room := (p.Y.Max - p.Y.Min) / 10
	p.Y.Min, p.Y.Max = p.Y.Min-room, p.Y.Max+room
	for _, format := range []string{"png", "svg"} {
		if err := save(p, filepath.Join(dir, "curve."+format), format); err != nil {
			return err
		}
	}
	return nil
}

func save(p *plot.Plot, file, format string) error {
	const margin = 4 * vg.Millimeter
	canvas, err := draw.NewFormattedCanvas(16*vg.Centimeter, 10*vg.Centimeter, format)
	if err != nil {
		return err
	}
	p.Draw(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	var picture bytes.Buffer
	if _, err := canvas.WriteTo(&picture); err != nil {
		return err
	}
	return os.WriteFile(file, picture.Bytes(), 0o644)
}
