package source

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tributary/models/hashing"
	"tributary/protocol/jobspec"
)

const openContract = `
version: 1
name: open
revision: 1
key: id
max_rows: 100
label: {column: churned, positive: "yes", negative: "no"}
columns:
  city: {type: category, buckets: 4096, nullable: true}
  zip:  {type: category, buckets: 64}
`

func openBinding(t *testing.T, rows string) (Binding, *jobspec.Contract) {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte(openContract))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return Binding{Contract: "open@1", ID: "customers", File: write(t, "rows.csv", []byte(rows)), Missing: []string{"", "NA"}}, c
}

// Cells become buckets of the contract's own hash, whatever the file calls and how it quotes and pads them; missing stays missing.
func TestOpenCategoriesAreHashed(t *testing.T) {
	b, c := openBinding(t, "id,Ort,zip,churned\n1,Bern,8001,yes\n2,\" Zürich \",8001,no\n3,NA,x,no\n4,,y,yes\n5,Berne,other,no\n6,nowhere,z,no\n")
	b.Columns = map[string]string{"city": "Ort"}
	b.Values = map[string]map[string]string{"city": {"Berne": " Bern "}}
	rows, err := Read(t.Context(), b, c, secret())
	if err != nil {
		t.Fatal(err)
	}
	table, err := rows.Table(jobspec.Holdout{})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Validate(); err != nil {
		t.Fatal(err)
	}
	city, zip := hashing.New("city", 4096), hashing.New("zip", 64)
	col, _ := table.Column("city")
	if want := []int32{1061, 1648, -1, -1, 1061, city.Text("nowhere")}; !slices.Equal(col.Codes, want) || col.Buckets != 4096 || col.Values != nil {
		t.Errorf("%+v, want %d", col, want)
	}
	if col, _ = table.Column("zip"); col.Codes[0] != zip.Text("8001") || col.Codes[4] != zip.Text("other") {
		t.Errorf("%+v", col)
	}
	again, err := Read(t.Context(), b, c, secret())
	if err != nil || again.Digest != rows.Digest {
		t.Errorf("read again, the rows are others: %v", err)
	}
	b.File = write(t, "rows.csv", []byte("id,Ort,zip,churned\n1,Ulm,8001,yes\n2,\" Zürich \",8001,no\n3,NA,x,no\n4,,y,yes\n5,Berne,other,no\n6,nowhere,z,no\n"))
	if other, err := Read(t.Context(), b, c, secret()); err != nil || other.Digest == rows.Digest {
		t.Errorf("another city, the same digest: %v", err)
	}
}

// What would have another bucket at another participant, or is no category at all, is told.
func TestCellsThatHaveNoBucketAreTold(t *testing.T) {
	b, c := openBinding(t, "id,city,zip,churned\n1,Z\xfcrich,1,yes\n2,"+strings.Repeat("x", 257)+",2,no\n3,a,NA,no\n4,b,,yes\n")
	_, err := Read(t.Context(), b, c, secret())
	var told *DataError
	if !errors.As(err, &told) || len(told.Findings) != 4 {
		t.Fatal(err)
	}
	for i, want := range []string{"not UTF-8", "257 bytes", "is missing", "is missing"} {
		if f := told.Findings[i]; f.Row != i+2 || !strings.Contains(f.Message, want) || f.Hint == "" {
			t.Errorf("%+v, want %s", f, want)
		}
	}
	b.Values = map[string]map[string]string{"city": {"x": ""}}
	if err := b.Check(c); !errors.Is(err, ErrBinding) || !strings.Contains(err.Error(), "column city") {
		t.Errorf("a mapping to nothing: %v", err)
	}
}
