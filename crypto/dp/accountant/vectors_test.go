package accountant

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// vector is one entry of vectors/dp.json: closed forms at 60 digits (eps, tol)
// and rigorous brackets (eps_lo, eps_hi) of the tight ε.
type vector struct {
	ID         string `json:"id"`
	Accountant string `json:"accountant"`
	Mechanisms []struct {
		Type        string  `json:"type"`
		Sigma       float64 `json:"sigma"`
		Sigma2      float64 `json:"sigma2"`
		SigmaLocal  float64 `json:"sigma_local"`
		Sensitivity uint64  `json:"sensitivity"`
		B           float64 `json:"b"`
		Q           float64 `json:"q"`
		Eps0        float64 `json:"eps0"`
		Mu          float64 `json:"mu"`
		Rho         float64 `json:"rho"`
		RDP         float64 `json:"rdp"`
		L1          float64 `json:"l1_int"`
		L2          float64 `json:"l2_int"`
		N           int     `json:"n"`
		Dim         float64 `json:"dim"`
		Depth       float64 `json:"depth"`
		Steps       uint64  `json:"steps"`
	} `json:"mechanisms"`
	Delta, Eps, Tol, Sigma, Rho float64
	SolveFor                    string   `json:"solve_for"`
	EpsLo                       *float64 `json:"eps_lo"`
	EpsHi                       *float64 `json:"eps_hi"`
	EpsRemove                   float64  `json:"eps_remove"`
	EpsAdd                      float64  `json:"eps_add"`
	Orders                      json.RawMessage
	Conversion                  string
	RDP                         []float64 `json:"rdp"`
	TolRel                      float64   `json:"tol_rel"`
	Budget                      struct{ Eps, Delta float64 }
	MaxReleases                 uint64 `json:"max_releases"`
}

// readVectors reads $TRIBUTARY_DATA/../vectors/dp.json. Without it the test
// fails where CI=true, and else is skipped.
func readVectors(t *testing.T) []vector {
	t.Helper()
	data := os.Getenv("TRIBUTARY_DATA")
	if data == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		data = filepath.Join(dir, "..", "shared", "data")
	}
	raw, err := os.ReadFile(filepath.Join(data, "..", "vectors", "dp.json"))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skipf("the privacy vectors aren't there (set TRIBUTARY_DATA): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		N       int `json:"n_vectors"`
		Vectors []vector
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != file.N || file.N < 69 {
		t.Fatalf("%d vectors, the file says %d, want at least 69", len(file.Vectors), file.N)
	}
	return file.Vectors
}

func (v vector) releases(t *testing.T) []Release {
	t.Helper()
	var list []Release
	for _, m := range v.Mechanisms {
		r := Release{Count: max(1, m.Steps)}
		switch m.Type {
		case "gaussian":
			r.Mechanism = Gaussian{m.Sigma}
		case "discrete_gaussian":
			r.Mechanism = DiscreteGaussian{m.Sigma2, m.Sensitivity}
		case "laplace":
			r.Mechanism = Laplace{m.B}
		case "randomized_response_pure_eps":
			r.Mechanism = RandomisedResponse{m.Eps0}
		case "poisson_gaussian":
			r.Mechanism = Sampled{Gaussian{m.Sigma}, m.Q}
		case "poisson_discrete_gaussian":
			r.Mechanism = Sampled{DiscreteGaussian{m.Sigma2, m.Sensitivity}, m.Q}
		case "zcdp":
			r.Mechanism = ZCDP{m.Rho}
		case "skellam":
			r.Mechanism = skellam{m.Mu, float64(m.Sensitivity)}
		case "tree_aggregation_single_epoch":
			// Every record touches at most depth nodes [KMSTTX21].
			r = Release{Gaussian{m.Sigma / math.Sqrt(m.Depth)}, 1}
		case "rdp_constant":
			r.Mechanism = constantRDP{m.RDP}
		case "distributed_discrete_gaussian":
			r.Mechanism = distributedGaussian{m.N, m.SigmaLocal, m.L2, m.Dim}
		case "skellam_multidim":
			r.Mechanism = skellamVector{m.Mu, m.L1, m.L2}
		default:
			t.Fatalf("unknown mechanism %q", m.Type)
		}
		list = append(list, r)
	}
	return list
}

func (v vector) orders(t *testing.T) []float64 {
	t.Helper()
	var list []float64
	if json.Unmarshal(v.Orders, &list) == nil {
		return list
	}
	var text string
	var low, high, step float64
	if err := json.Unmarshal(v.Orders, &text); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(text, "range(%f, %f, step %f)", &low, &high, &step); err != nil {
		t.Fatalf("orders %q: %v", text, err)
	}
	for i := 0; low+float64(i)*step < high; i++ {
		list = append(list, low+float64(i)*step)
	}
	return list
}

// within checks |got − want| ≤ tol. Reports are rounded up, by far less than tol.
func within(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %.15g, want %.15g ± %g (off by %g)", what, got, want, tol, got-want)
	}
}

// bracket applies the rule of the file: sound to 1e-9, tight to 0.2 % and 0.001.
func bracket(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if !(got >= low-1e-9) {
		t.Errorf("%s = %.12g is below the tight value's lower bound %.12g: UNSOUND", what, got, low)
	}
	if !(got <= high*1.002+1e-3) {
		t.Errorf("%s = %.12g is loose: the tight value is at most %.12g", what, got, high)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestVectorsAreReproduced(t *testing.T) {
	for _, v := range readVectors(t) {
		t.Run(v.ID, func(t *testing.T) {
			start := time.Now()
			target := Target{v.Eps, v.Delta}
			switch v.Accountant {
			case "tight":
				tight(t, v)
			case "calibrate":
				within(t, "σ", must[float64](t)(SmallestGaussian(target)), v.Sigma, v.Tol)
			case "zcdp":
				switch {
				case v.SolveFor == "delta":
					within(t, "δ", must[float64](t)(ZCDPDelta(v.Mechanisms[0].Rho, v.Eps)), v.Delta, v.Tol)
				case v.Rho > 0:
					within(t, "ρ", must[float64](t)(ZCDPBudget(target)), v.Rho, v.Tol)
				default:
					within(t, "ε", must[float64](t)(ZCDPEpsilon(v.Mechanisms[0].Rho, v.Delta)), v.Eps, v.Tol)
				}
			case "rdp":
				orders := v.orders(t)
				curve := must[[]float64](t)(RDP(v.releases(t), orders))
				best := math.Inf(1)
				for i, a := range orders {
					e := EpsilonFromRDP(a, curve[i], v.Delta)
					if v.Conversion == "mironov" {
						e = mironovEpsilon(a, curve[i], v.Delta)
					}
					best = min(best, e)
				}
				within(t, "ε", best, v.Eps, v.Tol)
			case "rdp_curve":
				curve := must[[]float64](t)(RDP(v.releases(t), v.orders(t)))
				for i, want := range v.RDP {
					within(t, fmt.Sprintf("RDP[%d]", i), curve[i], want, v.TolRel*want)
				}
			case "filter":
				// The GDP filter: largest k with k/σ² ≤ 1/σ*² [KTH23].
				star := must[float64](t)(SmallestGaussian(Target{v.Budget.Eps, v.Budget.Delta}))
				if k := uint64(math.Floor(math.Pow(v.Mechanisms[0].Sigma/star, 2))); k != v.MaxReleases {
					t.Errorf("filter admits %d releases, want %d", k, v.MaxReleases)
				}
			default:
				if len(v.Accountant) < 7 || v.Accountant[:7] != "gdp_clt" {
					t.Fatalf("unknown accountant %q", v.Accountant)
				}
				m := v.Mechanisms[0]
				mu := m.Q * math.Sqrt(float64(m.Steps)*math.Expm1(1/(m.Sigma*m.Sigma))) // [BDLS20]
				within(t, "ε", smallestEpsilon(func(e float64) float64 { return gaussianDelta(mu, e) }, v.Delta), v.Eps, v.Tol)
			}
			t.Logf("%.0f ms", float64(time.Since(start).Microseconds())/1e3)
		})
	}
}

func tight(t *testing.T, v vector) {
	if v.SolveFor == "delta" {
		r := must[Report](t)(Delta(v.releases(t), v.Eps))
		within(t, "δ", r.Delta, v.Delta, v.Tol)
		return
	}
	list := v.releases(t)
	r := must[Report](t)(Epsilon(list, v.Delta))
	if v.EpsLo == nil {
		within(t, "ε", r.Epsilon, v.Eps, v.Tol)
		if r.Epsilon < v.Eps-1e-9 {
			t.Errorf("ε = %.15g is below %.15g: UNSOUND", r.Epsilon, v.Eps)
		}
		t.Logf("%s: ε = %.12g, off by %.2g", r.Method, r.Epsilon, r.Epsilon-v.Eps)
		return
	}
	bracket(t, "ε", r.Epsilon, *v.EpsLo, *v.EpsHi)
	// The file's own directions are upper bounds of a finer grid.
	if r.Remove < v.EpsRemove*0.9998-2e-4 || r.Add < v.EpsAdd*0.9998-2e-4 {
		t.Errorf("remove %.9g, add %.9g; want about %.9g and %.9g", r.Remove, r.Add, v.EpsRemove, v.EpsAdd)
	}
	t.Logf("%s: ε = %.9g, above the bracket's upper end by %.2g; remove %.9g (%.9g), add %.9g (%.9g)", r.Method, r.Epsilon, r.Epsilon-*v.EpsHi, r.Remove, v.EpsRemove, r.Add, v.EpsAdd)
	if r.Method != "pld" { // vectors made to check the FFT: take that path too
		l := must[*ledger](t)(collect(list))
		b := l.pld(remove, v.Delta, 0)
		bracket(t, "ε by PLD", smallestEpsilon(b, v.Delta), *v.EpsLo, *v.EpsHi)
	}
}
