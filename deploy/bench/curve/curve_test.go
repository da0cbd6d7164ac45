package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCurveIsDrawnTheSameEachTime(t *testing.T) {
	points := []point{{"0.3", 0.27, 14, 0.88, 0.004}, {"1", 0.91, 14, 0.897, 0.001}, {"3", 2.7, 14, 0.9, 0.0005}}
	var files [2][2][]byte
	for i := range files {
		dir := t.TempDir()
		if err := drawCurve(dir, points); err != nil {
			t.Fatal(err)
		}
		for j, name := range []string{"curve.png", "curve.svg"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			files[i][j] = content
		}
	}
	for j := range files[0] {
		if !bytes.Equal(files[0][j], files[1][j]) {
			t.Errorf("file %d differs", j)
		}
	}
	picture, err := png.Decode(bytes.NewReader(files[0][0]))
	if err != nil || picture.Bounds().Dx() < 400 {
		t.Fatalf("%v %v", picture, err)
	}
	colours := map[[3]uint32]bool{}
	for x := range picture.Bounds().Dx() {
		for y := range picture.Bounds().Dy() {
			r, g, b, _ := picture.At(x, y).RGBA()
			colours[[3]uint32{r >> 8, g >> 8, b >> 8}] = true
		}
	}
	if !colours[[3]uint32{0x1f, 0x5a, 0xa6}] || !colours[[3]uint32{255, 255, 255}] {
		t.Error("no line on white")
	}
	var text strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(files[0][1])); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if letters, ok := token.(xml.CharData); ok {
			text.Write(letters)
		}
	}
	for _, want := range []string{"0.3 (0.27)", "1 (0.91)", "3 (2.70)", "test AUC"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the picture lacks %q: %s", want, text.String())
		}
	}
}

func TestWithoutDataTheCurveSaysWhatToSet(t *testing.T) {
	err := run(context.Background(), io.Discard, t.TempDir(), t.TempDir(), 5)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "hint: set TRIBUTARY_DATA") {
		t.Error(err)
	}
	if err := run(context.Background(), io.Discard, "", t.TempDir(), 1); err == nil || !strings.Contains(err.Error(), "hint: -seeds") {
		t.Error(err)
	}
}
