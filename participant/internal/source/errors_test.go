package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestEveryWrongCellNamesItsRowColumnAndRemedy(t *testing.T) {
	const good = "c5;30;1;DE;mobile;train;1;true\n"
	tests := map[string]struct{ row, column, message, hint string }{
		"number":           {"c5;old;1;DE;mobile;train;1;true\n", "KUNDE_ALTER", `expected a number, found "old"`, "missing"},
		"decimal comma":    {"c5;30,5;1;DE;mobile;train;1;true\n", "KUNDE_ALTER", `found "30,5"`, "decimal point"},
		"hexadecimal":      {"c5;0x1f;1;DE;mobile;train;1;true\n", "KUNDE_ALTER", "expected a number", ""},
		"underscore":       {"c5;1_0;1;DE;mobile;train;1;true\n", "KUNDE_ALTER", "expected a number", ""},
		"NaN":              {"c5;NaN;1;DE;mobile;train;1;true\n", "KUNDE_ALTER", "expected a finite number", "missing"},
		"Inf":              {"c5;30;-Inf;DE;mobile;train;1;true\n", "basket", "expected a finite number", ""},
		"overflow":         {"c5;30;1e999;DE;mobile;train;1;true\n", "basket", "too large", "correct"},
		"half a number":    {"c5;30;1e;DE;mobile;train;1;true\n", "basket", "expected a number", ""},
		"rejected range":   {"c5;30;10000.1;DE;mobile;train;1;true\n", "basket", "outside the contract's range from 0 to 10000", "outside: reject"},
		"missing number":   {"c5;;1;DE;mobile;train;1;true\n", "KUNDE_ALTER", "not nullable", "nullable: true"},
		"missing category": {"c5;30;1;NA;mobile;train;1;true\n", "country", "not nullable", "nullable: true"},
		"unlisted":         {"c5;30;1;DE;fridge;train;1;true\n", "device", `"fridge" is not a value of the contract's column device (mobile, desktop)`, `values: {device: {"fridge": "mobile"}}`},
		"unlisted split":   {"c5;30;1;DE;mobile;dev;1;true\n", "fold", `"dev" is not a value`, "values: {fold:"},
		"missing split":    {"c5;30;1;DE;mobile;;1;true\n", "fold", "the split is missing", "train, test"},
		"label":            {"c5;30;1;DE;mobile;train;2;true\n", "churned", `the label is "2", neither "yes" nor "no"`, `values: {churned: {"2": "yes"}}`},
		"missing label":    {"c5;30;1;DE;mobile;train;NA;true\n", "churned", "the label is missing", "where"},
		"empty key":        {" ;30;1;DE;mobile;train;1;true\n", "customer_id", "the key is empty", "hold-out"},
		"long cell":        {"c5;" + strings.Repeat("ä", 30) + ";1;DE;mobile;train;1;true\n", "KUNDE_ALTER", `found "` + strings.Repeat("ä", 20) + `"…`, ""},
		"few cells":        {"c5;30;1\n", "", "the row has 3 cells, the header has 8", "double quotes"},
		"bare quote":       {"c5;3\"0;1;DE;mobile;train;1;true\n", "", "not CSV", `""`},
		"open quote":       {"c5;\"30;1;DE;mobile;train;1;true\n", "", "not CSV", `""`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := readText(t, shopRows+"\n"+good+test.row)
			var data *DataError
			if !errors.As(err, &data) || !errors.Is(err, ErrInvalid) {
				t.Fatalf("error %v", err)
			}
			if len(data.Findings) != 1 || data.More != 0 {
				t.Fatalf("findings %+v", data.Findings)
			}
			f := data.Findings[0]
			if f.Row != 8 { // the header, four rows, an empty line, a good row
				t.Errorf("row %d, want 8", f.Row)
			}
			if f.Column != test.column || !strings.Contains(f.Message, test.message) || !strings.Contains(f.Hint, test.hint) {
				t.Errorf("finding %+v, want %+v", f, test)
			}
			for _, part := range []string{"shop.csv", "row 8", f.Message, f.Hint} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
		})
	}
}

func TestFindingsAreToldUpToTwentyAndCounted(t *testing.T) {
	var text strings.Builder
	text.WriteString(shopRows)
	for i := range 2 {
		fmt.Fprintf(&text, "k%d;a;b;DE;c;d;e;true\n", i) // five wrong cells each
	}
	_, err := readText(t, text.String())
	var data *DataError
	if !errors.As(err, &data) || len(data.Findings) != 10 || data.More != 0 {
		t.Fatalf("%v", err)
	}
	for i := range 3 {
		fmt.Fprintf(&text, "m%d;a;b;DE;c;d;e;true\n", i)
	}
	_, err = readText(t, text.String())
	if !errors.As(err, &data) || len(data.Findings) != 20 || data.More != 5 {
		t.Fatalf("%v", err)
	}
	if !strings.HasSuffix(err.Error(), "and 5 more") {
		t.Errorf("error %q doesn't say how many more", err)
	}
	if n := strings.Count(err.Error(), "correct it in the source"); n != 1 {
		t.Errorf("a hint is repeated %d times", n)
	}
}

func TestTooManyRowsAreRefused(t *testing.T) {
	text := shopRows + strings.Repeat("c9;30;1;DE;mobile;train;1;true\n", 5) // three and five: max_rows
	if n := mustRead(t, text).Count(); n != 8 {
		t.Fatalf("%d rows", n)
	}
	_, err := readText(t, text+"c9;30;1;DE;mobile;train;1;true\n")
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "row 11: there are more than 8 rows") || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("error %v", err)
	}
}

func TestNoRowsIsAnErrorOfItsOwn(t *testing.T) {
	header, _, _ := strings.Cut(shopRows, "\n")
	for name, test := range map[string]struct{ text, want string }{
		"empty file":   {"", "the file is empty"},
		"header alone": {header + "\n", "below the header"},
		"filtered":     {header + "\nc1;30;1;DE;mobile;train;1;false\n", "none of 1 pass the filters"},
	} {
		if _, err := readText(t, test.text); !errors.Is(err, ErrEmpty) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeaderErrorsListWhatIsNear(t *testing.T) {
	for name, test := range map[string]struct {
		old, new string
		want     []string
	}{
		"missing":         {"KUNDE_ALTER", "Kunde-Alter", []string{`no column "KUNDE_ALTER" (for age)`, "did you mean Kunde-Alter?"}},
		"missing key":     {"customer_id", "id", []string{`no column "customer_id"`, "known are id, KUNDE_ALTER"}},
		"missing label":   {"churned", "churn", []string{`no column "churned"`, "did you mean churn?"}},
		"missing filter":  {"consent", "consnet", []string{`no column "consent", by which where[0] filters`, "did you mean consnet?"}},
		"twice":           {"consent", "device", []string{`column "device" appears twice, as number 5 and 8`, "rename"}},
		"wrong separator": {"customer_id;KUNDE_ALTER;basket;country;device;fold;churned;consent", "customer_id,KUNDE_ALTER,basket", []string{"is the separator right?"}},
		"no CSV":          {"customer_id", `cust"omer`, []string{"not CSV", "separator"}},
	} {
		_, err := readText(t, strings.Replace(shopRows, test.old, test.new, 1))
		if !errors.Is(err, ErrHeader) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range append(test.want, "shop.csv", "row 1", "hint:") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", name, err, want)
			}
		}
	}
	_, err := readText(t, "a;b\n1;2\n")
	if n := strings.Count(fmt.Sprint(err), "there is no column"); n != 8 {
		t.Errorf("%d of 8 missing columns are told: %v", n, err)
	}
}

func TestBindingErrorsAreFoundWithoutReading(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Binding)
		want   string
	}{
		"contract":         {func(b *Binding) { b.Contract = "shop@2" }, "for contract shop@2, not for shop@1"},
		"file":             {func(b *Binding) { b.File = "" }, "no file"},
		"separator":        {func(b *Binding) { b.Separator = '"' }, "can't separate"},
		"column":           {func(b *Binding) { b.Columns["agee"] = "x" }, "did you mean age?"},
		"column empty":     {func(b *Binding) { b.Columns["age"] = " " }, "the source's name for age is empty"},
		"column twice":     {func(b *Binding) { b.Columns["age"] = "basket" }, `age and basket are both read from the source's column "basket"`},
		"key as a feature": {func(b *Binding) { b.Columns["age"] = "customer_id" }, `customer_id and age are both read`},
		"values column":    {func(b *Binding) { b.Values["shoe"] = map[string]string{"a": "b"} }, `no column "shoe"`},
		"values number":    {func(b *Binding) { b.Values["age"] = map[string]string{"a": "1"} }, "neither the label nor"},
		"values target":    {func(b *Binding) { b.Values["country"] = map[string]string{"D": "de"} }, `"D" is mapped to "de"`},
		"values to other":  {func(b *Binding) { b.Values["device"] = map[string]string{"D": "other"} }, `mapped to "other"`},
		"label target":     {func(b *Binding) { b.Values["churned"]["2"] = "maybe" }, `"2" is mapped to "maybe"`},
		"filter empty":     {func(b *Binding) { b.Where = []Filter{{Column: "consent"}} }, "at least one value"},
		"missing a value":  {func(b *Binding) { b.Missing = []string{"DE"} }, `missing: "DE" is also a value of column country`},
	} {
		_, err := readText(t, shopRows, test.change)
		if !errors.Is(err, ErrBinding) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	b := binding()
	b.File = t.TempDir() + "/none.csv"
	if _, err := Read(context.Background(), b, contract(t), secret()); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("no such file: %v", err)
	}
	b.File = t.TempDir()
	if _, err := Read(context.Background(), b, contract(t), secret()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("directory: %v", err)
	}
	b.File = write(t, "utf16.csv", []byte("\xff\xfea\x00"))
	if _, err := Read(context.Background(), b, contract(t), secret()); err == nil || !strings.Contains(err.Error(), "save the file as UTF-8") {
		t.Errorf("UTF-16: %v", err)
	}
}
