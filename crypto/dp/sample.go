package dp

import "fmt"

// Sample returns the units of a Poisson-sampled batch: each of 0..units-1
// independently with probability exactly rate, by secret coins that are erased
// before it returns. The batch and its size must not leave: the amplification of
// the accountant's Poisson bounds rests on their being secret.
func Sample(rate Rational, units int) ([]int, error) {
	coins, err := NewCoins()
	if err != nil {
		return nil, err
	}
	defer coins.Erase()
	return coins.sample(rate, units)
}

func (c *Coins) sample(rate Rational, units int) ([]int, error) {
	if !rate.Valid() || rate.num == 0 || rate.num > rate.den {
		return nil, fmt.Errorf("dp: sampling rate %s outside (0, 1]: %w\nhint: give q as a fraction such as 1/50", rate, ErrRational)
	}
	if units < 0 {
		return nil, fmt.Errorf("dp: sample of %d units: %w\nhint: give the number of units", units, ErrLength)
	}
	batch := make([]int, 0, int(rate.Float()*float64(units))+64)
	for i := range units {
		if c.fraction(rate.num, rate.den) {
			batch = append(batch, i)
		}
	}
	return batch, nil
}
