package optim

import "testing"

// BenchmarkWideStep is the server's step of 2^18 columns, from an encoded state to the next one, as coordinator and participants take
// it each round, once all pairs are kept; without a penalty, and with one. It also tells the bytes of a state.
func BenchmarkWideStep(b *testing.B) {
	for name, more := range map[string]string{"l2": ``, "l1": `,"l1":5`} {
		b.Run(name, func(b *testing.B) {
			p, err := wideProgram(b, 1<<18, more)
			if err != nil {
				b.Fatal(err)
			}
			l := lbfgs{p}
			d := l.coefficients()
			sparse := func(i int) float64 { return float64(i%97) / 97 }
			w, g, curvature := make([]float64, d), make([]float64, d), make([]float64, d)
			for i := range d {
				w[i], g[i], curvature[i] = sparse(i)/10, 10*sparse(i+31)-5, 1+sparse(i)
			}
			fitted := p.spec.Plain()
			fitted.Rows, fitted.Positives = 1_000_000, 500_000
			s := &State{kind: Train, step: 40, rounds: 39, fitted: fitted, w: w, curvature: curvature, solver: l}
			s.lbfgs = &lbfgsMemory{objective: 1e6, best: make([]float64, d), gradient: make([]float64, d)}
			for k := range l.kept() {
				q := pair{make([]float32, d), make([]float32, d)}
				for i := range d {
					q.step[i] = float32(sparse(i*(k+3)) - 0.5)
					q.change[i] = float32(curvature[i]) * q.step[i]
				}
				s.lbfgs.pairs = append(s.lbfgs.pairs, q)
			}
			p.Model.MaxRounds = 1000
			sum := p.EncodeGradient(s, TrainSums{Rows: 1_000_000, Loss: 5e5, Gradient: g})
			data := s.Encode()
			for b.Loop() {
				if _, err := p.Step(data, sum); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(data)), "bytes/state")
		})
	}
}
