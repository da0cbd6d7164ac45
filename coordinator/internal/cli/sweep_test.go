package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestSweepOfFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	put("shop.yaml", "version: 1\nname: shop\nrevision: 1\nkey: id\nmax_rows: 10\nlabel: {column: y, positive: \"1\", negative: \"0\"}\ncolumns:\n  age: {type: number, min: 0, max: 100}\n")
	const spec = "version: 1\nname: j\ncontract: shop@1\nfeatures:\n  - {columns: [age], transform: standardize}\nmodel: {type: logistic_regression, l2: 1}\nprivacy: exact\nrun: {mode: sealed}\n"
	f, err := readFiles(put("good.yaml", spec+"sweep: {search: grid, values: {model.l2: [1, 2, 3]}}\n"), "")
	if err != nil || f.contractName != filepath.Join(dir, "shop.yaml") || len(f.trials()) != 3 {
		t.Fatalf("%v: %+v", err, f)
	}
	last := f.trials()[2]
	if !strings.Contains(string(last.spec), "l2: 3}") || last.sweep != nil || settings(last.Values) != "l2 3" || last.Name != "j-3" {
		t.Errorf("%+v", last)
	}
	if f, err = readFiles(put("plain.yaml", spec), ""); err != nil || f.sweep != nil {
		t.Errorf("%v: %+v", err, f)
	}
	file := put("bad.yaml", spec+"sweep: {search: grid, values: {model.l2: [1, -2]}}\n")
	_, err = readFiles(file, "")
	if found := explain(err).problems; len(found) != 1 || found[0].File != file || found[0].Line != 6 || !strings.Contains(found[0].Message, "trial 2: l2 -2") {
		t.Errorf("%+v", found)
	}
	// Sent to a coordinator that has no charter, none is submitted.
	s := serve(t)
	for _, verb := range []string{"validate", "forecast", "submit"} {
		if r := s.run("job", verb, filepath.Join(dir, "good.yaml")); r.code == 0 || !strings.Contains(r.err, "charter") || strings.Contains(r.err, "were submitted") {
			t.Errorf("%s: exit %d, %s%s", verb, r.code, r.out, r.err)
		}
	}
}

func TestPartlySubmittedSweepsSayHowToGoOn(t *testing.T) {
	f := explain(partly(status.Error(codes.PermissionDenied, "no (hint: ask)"), 2, 5, "abc"))
	if f.exit != exitRefused || f.Message != "2 of 5 trials were submitted, then: no" || f.Hint != "ask `--token abc` submits the rest, and none twice." {
		t.Errorf("%+v", f)
	}
	if f := explain(partly(status.Error(codes.PermissionDenied, "no"), 0, 5, "abc")); f.Message != "no" {
		t.Errorf("%+v", f)
	}
}
