package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNamesTellsWhatBucketsStandFor(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	// Bern is bucket 1061 of 4096 (SPEC §13).
	model := path("model.json", `{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0,"columns":[
{"name":"city#","feature":"city","role":"buckets","folded":false,"buckets":{"count":4096,"kept":[7,1061],"coefficients":[-3,2]}},
{"name":"city=other","feature":"city","role":"other","folded":false,"coefficient":0.25}],"training_rows":10,"train_rounds":1}`)
	rows, plain, config := path("rows.csv", "id;city\n1;Bern\n2;Bern\n3;Ulm\n"), path("plain.json", scoredModel), filepath.Join(dir, "none.yaml")
	run(t, config, "names", "--model", model, "--in", rows, "--separator", ";").expect(t, exitOK, "city#7", "-3  no row of yours", "city#1061", "+2  Bern (2 rows)")
	run(t, config, "names", "--model", model, "--in", rows, "--separator", ";", "--top", "1", "--output", "json").expect(t, exitOK, `"encoded": "city#7"`, `"names": []`)
	run(t, config, "names", "--model", model, "--in", rows).expect(t, exitUsage, `there is no column "city"`, "hint: ")
	run(t, config, "names", "--model", plain, "--in", rows, "--separator", ";").expect(t, exitUsage, "no buckets to name", "hint: ")
	run(t, config, "names", "--in", rows).expect(t, exitUsage, "--model is missing")
	run(t, config, "names", "--model", model).expect(t, exitUsage, "give --in or --data")
	run(t, config, "names", "--model", model, "--in", rows, "--top", "0").expect(t, exitUsage, "--top 0 is not within")
	run(t, config, "names", "--model", model, "--data", "x", "--separator", ";").expect(t, exitUsage, "--data excludes")
	run(t, config, "names", "--model", model, "--data", "x").expect(t, exitUsage, "none.yaml")
}
