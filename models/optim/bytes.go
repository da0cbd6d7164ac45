package optim

import (
	"fmt"
	"iter"
)

// The methods below show a program over encoded states, in standard types only: this is how the round protocol, which
// knows nothing of models, drives one.

// InitialState is state 0, encoded.
func (p *Program) InitialState() []byte { return p.Initial().Encode() }

// Inspect tells an encoded state's next kind of round (RoundKind's number; Done is 4) and its step.
func (p *Program) Inspect(state []byte) (kind uint8, step uint32, err error) {
	s, err := p.DecodeState(state)
	if err != nil {
		return 0, 0, err
	}
	return uint8(s.Kind()), s.Step(), nil
}

// Step is Apply over encoded states.
func (p *Program) Step(state []byte, sum [][]float64) ([]byte, error) {
	s, err := p.DecodeState(state)
	if err != nil {
		return nil, fmt.Errorf("step: %w", err)
	}
	next, _, err := p.Apply(s, sum)
	if err != nil {
		return nil, err
	}
	return next.Encode(), nil
}

// Segments yields the segments of a kind's sum in order: name, then length, scale numerator and denominator.
func (p *Program) Segments(kind uint8) iter.Seq2[string, [3]uint64] {
	return func(yield func(string, [3]uint64) bool) {
		for _, s := range p.Layout(RoundKind(kind)) {
			if !yield(s.Name, [3]uint64{uint64(s.Length), s.ScaleNum, s.ScaleDen}) {
				return
			}
		}
	}
}

// Limit is how many rounds of a kind may be opened.
func (p *Program) Limit(kind uint8) int { return p.MaxRounds(RoundKind(kind)) }
