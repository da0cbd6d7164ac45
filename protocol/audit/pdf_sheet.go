package audit

import (
	"fmt"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// Lengths in mm on A4, sizes in points.
const (
	sideMargin, topMargin, footMargin = 18.0, 24.0, 20.0

	pageWidth, pageHeight = 210.0, 297.0
	textWidth             = pageWidth - 2*sideMargin
	bottom                = pageHeight - footMargin
	lineHeight            = 4.4
	fontSize              = 9.0
)

// sheet lays out text on A4 pages in Helvetica, which every reader of PDF has and the file needn't hold. Its letters are those of
// cp1252: see shown. Equal content gives equal bytes: streams aren't compressed, and the date is given.
type sheet struct {
	pdf      *fpdf.Fpdf
	latin    func(string) string
	symbols  *strings.Replacer
	numbered bool // a letter was written as its number
}

// column is one of a table's columns.
type column struct {
	head  string
	width float64 // mm
	right bool    // aligned
	bold  bool
}

func right(head string, width float64) column { return column{head: head, width: width, right: true} }

// frame is what every page repeats.
type frame struct {
	title, verdict, foot string
	alarm                bool // the verdict is bad
	made                 time.Time
}

func newSheet(f frame) *sheet {
	s := &sheet{pdf: fpdf.New("P", "mm", "A4", ""), symbols: strings.NewReplacer("ε (epsilon)", "epsilon", "δ (delta)", "delta",
		"ε", "epsilon", "δ", "delta", "Δ", "Delta", "α", "alpha", "σ", "sigma", "∞", "infinite", "≤", "<=", "≥", ">=", "−", "-", "→", "->")}
	s.latin = s.pdf.UnicodeTranslatorFromDescriptor("cp1252")
	s.pdf.SetCompression(false)
	s.pdf.SetCatalogSort(true)
	s.pdf.SetCreationDate(f.made)
	s.pdf.SetModificationDate(f.made)
	s.pdf.SetTitle(plain(f.title), true)
	s.pdf.SetLang("en")
	s.pdf.SetMargins(sideMargin, topMargin, sideMargin)
	s.pdf.SetAutoPageBreak(true, footMargin)
	s.pdf.SetDrawColor(150, 150, 150)
	const pages = "\x01" // stands for their number; no text can hold it, see plain
	s.pdf.AliasNbPages(pages)
	s.pdf.SetHeaderFunc(func() {
		s.pdf.SetXY(sideMargin, 12)
		s.face(8, false)
		s.pdf.CellFormat(textWidth/2, 5, s.fitted(f.title, textWidth/2), "B", 0, "L", false, 0, "")
		s.face(8, f.alarm)
		s.alarmed(f.alarm, func() { s.pdf.CellFormat(textWidth/2, 5, s.fitted(f.verdict, textWidth/2), "B", 0, "R", false, 0, "") })
		s.pdf.SetXY(sideMargin, topMargin)
	})
	s.pdf.SetFooterFunc(func() {
		s.pdf.SetXY(sideMargin, pageHeight-14)
		s.face(8, false)
		s.pdf.CellFormat(textWidth-30, 5, s.fitted(f.foot, textWidth-30), "T", 0, "L", false, 0, "")
		s.pdf.CellFormat(30, 5, fmt.Sprintf("Page %d of %s", s.pdf.PageNo(), pages), "T", 0, "R", false, 0, "")
	})
	s.pdf.AddPage()
	return s
}

func (s *sheet) face(size float64, bold bool) {
	style := map[bool]string{true: "B"}[bold]
	if now, _ := s.pdf.GetFontSize(); now != size || s.pdf.GetFontStyle() != style {
		s.pdf.SetFont("Helvetica", style, size) // writes, even if nothing changes
	}
}

func (s *sheet) alarmed(alarm bool, write func()) {
	if alarm {
		s.pdf.SetTextColor(176, 0, 0)
		defer s.pdf.SetTextColor(0, 0, 0)
	}
	write()
}

// shown is a text in the letters of cp1252, one byte each. The symbols of the reports become words; any other letter that is missing
// becomes its number, \u4e2d, so that different names stay different.
func (s *sheet) shown(text string) string {
	var b strings.Builder
	for _, r := range s.symbols.Replace(plain(text)) {
		c := s.latin(string(r))
		if c == "." && r != '.' { // fpdf's sign of a missing letter
			s.numbered = true
			c = fmt.Sprintf(`\u%04x`, r)
		}
		b.WriteString(c)
	}
	return b.String()
}

// fitted is a text cut to one line.
func (s *sheet) fitted(text string, width float64) string {
	all := s.shown(text)
	lines := s.pdf.SplitLines([]byte(all), width)
	if len(lines) <= 1 {
		return all
	}
	return string(s.pdf.SplitLines([]byte(all), width-5)[0]) + "..."
}

// heading starts a part, never at the foot of a page. Levels are 0 (the title) to 2.
func (s *sheet) heading(level int, text string) {
	if s.pdf.GetY() > bottom-30 {
		s.pdf.AddPage()
	}
	if s.pdf.GetY() > topMargin {
		s.pdf.Ln([]float64{0, 5, 3}[level])
	}
	s.pdf.Bookmark(s.shown(text), max(0, level-1), -1)
	s.face([]float64{16, 12, 10}[level], true)
	s.pdf.MultiCell(textWidth, 6, s.shown(text), "", "L", false)
	s.pdf.Ln(1)
}

func (s *sheet) paragraph(text string, bold bool) {
	s.face(fontSize, bold)
	s.pdf.MultiCell(textWidth, lineHeight, s.shown(text), "", "L", false)
	s.pdf.Ln(1)
}

// pairs are two columns: what, and its value.
func (s *sheet) pairs(rows ...[]string) {
	s.table([]column{{width: 48, bold: true}, {width: textWidth - 48}}, rows)
}

// table repeats its head on every page. A row stays on one page unless it is long. Without rows there is no table.
func (s *sheet) table(columns []column, rows [][]string) {
	var heads []string
	for _, c := range columns {
		heads = append(heads, c.head)
	}
	head := func() {
		if strings.Join(heads, "") != "" {
			s.row(columns, s.split(columns, heads, true), true)
		}
	}
	for i, cells := range rows {
		text := s.split(columns, cells, false)
		room := float64(min(len(text), 12)) * lineHeight
		if i == 0 {
			room += 2 * lineHeight
		}
		full := s.pdf.GetY()+room > bottom
		if full {
			s.pdf.AddPage()
		}
		if full || i == 0 {
			head()
		}
		s.row(columns, text, false)
	}
	if len(rows) > 0 {
		s.pdf.Ln(2)
	}
}

// split breaks a row's cells into lines: text[line][column].
func (s *sheet) split(columns []column, cells []string, bold bool) (text [][]string) {
	for i, c := range columns {
		s.face(fontSize, bold || c.bold)
		for n, line := range s.pdf.SplitLines([]byte(s.shown(cells[i])), c.width) {
			if n == len(text) {
				text = append(text, make([]string, len(columns)))
			}
			text[n][i] = string(line)
		}
	}
	return text
}

// row writes line by line, so that a long one may go over several pages; a line lies under its last.
func (s *sheet) row(columns []column, text [][]string, bold bool) {
	for n, line := range text {
		border := ""
		if n == len(text)-1 {
			border = "B"
		}
		for i, c := range columns {
			align := "L"
			if c.right {
				align = "R"
			}
			s.face(fontSize, bold || c.bold)
			s.pdf.CellFormat(c.width, lineHeight, line[i], border, 0, align, false, 0, "")
		}
		s.pdf.Ln(lineHeight)
	}
}
