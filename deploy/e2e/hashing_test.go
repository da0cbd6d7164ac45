package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/deploy/consortium"
)

const openContract = `version: 1
name: towns
revision: 1
key: customer_id
max_rows: 100000
label: {column: churned, positive: "yes", negative: "no"}
columns:
  town:    {type: category, buckets: 1024}
  country: {type: category, values: [DE, FR], other: keep}
  device:  {type: category, values: [phone, desk]}
  fold:    {type: split, values: [train, test]}
`

const openSpec = `version: 1
name: towns
contract: towns@1
features:
  - {columns: [town, country, device], transform: one_hot}
  - {cross: [country, device]}
  - {cross: [town, device], buckets: 128}
model: {type: logistic_regression, solver: lbfgs, tolerance: 1e-6}
evaluate: {holdout: {column: fold, equals: test}}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: 3, of: 4}}
`

// TestOpenCategoriesOverRealProcesses: four shops train on towns that nobody lists and on crosses. The exported model scores their
// held-out rows as the job evaluated them, each shop finds the names of the buckets in its own file, and no shop's towns are in
// anything that the coordinator kept.
func TestOpenCategoriesOverRealProcesses(t *testing.T) {
	config := "policy: {contracts: [towns@1], approve: automatic}\ndata:\n  - {contract: towns@1, id: customers, source: {csv: customers.csv}}\n"
	c := shops(t, config, 8, func(n *consortium.Node, shop int, r *rand.Rand) {
		var b strings.Builder
		b.WriteString("customer_id,town,country,device,fold,churned\n")
		for i := range 1500 {
			town, country, device := fmt.Sprintf("Weiler %d", int(25*r.ExpFloat64())), []string{"DE", "FR", "IT"}[r.IntN(3)], []string{"phone", "desk"}[r.IntN(2)]
			if shop == 3 && r.IntN(8) == 0 {
				town = "Nirgendwo" // a town of this shop alone
			}
			m := -0.5
			if town == "Nirgendwo" {
				m += 2
			}
			if country == "FR" && device == "phone" {
				m += 2
			}
			label := "no"
			if r.Float64() < 1/(1+math.Exp(-m)) {
				label = "yes"
			}
			fmt.Fprintf(&b, "%d-%d,%s,%s,%s,%s,%s\n", shop, i, town, country, device, []string{"train", "train", "train", "test"}[i%4], label)
		}
		write(t, filepath.Join(n.Dir, "customers.csv"), b.String())
		write(t, filepath.Join(n.Dir, "towns.yaml"), openContract)
	})
	end := completed(t, c, openSpec, openContract)
	t.Logf("AUC %.4f, %d rounds", end.Metrics.AUC, end.Rounds("train"))
	shown, err := c.Tributary(t.Context(), "model", "show", "towns")
	if err != nil || shown.Code != 0 || !strings.Contains(shown.Out, "country*device#3 (FR × phone)") || !strings.Contains(shown.Out, "town: ") {
		t.Errorf("%v: %s%s", err, shown.Out, shown.Err)
	}
	file := filepath.Join(c.Dir, "towns.json")
	if r, err := c.Tributary(t.Context(), "model", "export", "towns", "--file", file); err != nil || r.Code != 0 {
		t.Fatalf("%v: %s", err, r.Err)
	}
	if r, err := c.Tributary(t.Context(), "model", "export", "towns", "--format", "onnx", "--file", filepath.Join(c.Dir, "towns.onnx")); err != nil || r.Code == 0 || !strings.Contains(r.Err, `column "town" is hashed`) {
		t.Errorf("%v: exit %d, %s", err, r.Code, r.Err)
	}
	h := scoredHeldOut(t, c, file, "customers", "fold,churned,town", func(head, row []string) {
		if strings.Join(head[3:9], " ") != "encoded:town names:town encoded:country*device names:country*device encoded:town*device names:town*device" {
			t.Fatalf("%q", head)
		}
		if named := row[4]; row[2] == "Nirgendwo" && !strings.Contains(named, "Nirgendwo") {
			t.Fatalf("Nirgendwo is in %s, named %q", row[3], named)
		}
	})
	if auc, _ := h.AUC(0); !auc.Known || math.Abs(auc.V-end.Metrics.AUC) > 1e-9 || auc.V < 0.6 {
		t.Errorf("scored AUC %v, evaluated %g", auc, end.Metrics.AUC)
	}
	r, err := c.Nodes[3].Command(t.Context(), "names", "--model", file, "--data", "customers", "--top", "5")
	if err != nil || r.Code != 0 || !strings.Contains(r.Out, "Nirgendwo (") {
		t.Errorf("%v: %s%s", err, r.Out, r.Err)
	}
	t.Log(r.Out)
	secrecy(t, filepath.Join(c.Dir, "coordinator"), "Weiler", "Nirgendwo")
	verified(t, c)
}

// secrecy wants none of the words in any file under a folder.
func secrecy(t *testing.T, dir string, words ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		for _, word := range words {
			if strings.Contains(string(data), word) {
				t.Errorf("%s has %q", path, word)
			}
		}
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d files: %v", files, err)
	}
}
