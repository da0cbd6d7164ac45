package linear

import (
	"errors"
	"fmt"
)

// ErrConcentrated is returned for a state at which a few rows dominate a sum: it would be those rows. The state is
// refused, and nothing leaves.
var ErrConcentrated = errors.New("a few rows dominate the sum")

// MinEffectiveRows is the least (Σh)²/Σh², h = p(1-p), over a participant's training rows: the number of equally weighted rows
// with the same concentration.
const MinEffectiveRows = 50

// Concentration adds up weights h ≥ 0 of the training rows in a sum. They are scaled by the largest so far, as squares of tiny ones
// underflow. The zero value is of no rows.
type Concentration struct {
	rows          int
	largest       float64
	first, second float64 // Σ h/largest, Σ (h/largest)²
}

// Add adds a row's weight.
func (c *Concentration) Add(h float64) {
	c.rows++
	if !(h <= c.largest) { // NaN stays for ever, and is refused
		c.scale(h)
	}
	if c.largest != 0 {
		v := h / c.largest
		c.first += v
		c.second += v * v
	}
}

func (c *Concentration) scale(largest float64) {
	f := c.largest / largest
	c.first, c.second, c.largest = c.first*f, c.second*f*f, largest
}

// Merge adds another's rows.
func (c *Concentration) Merge(o Concentration) {
	if !(o.largest <= c.largest) {
		c.scale(o.largest)
	}
	c.rows += o.rows
	if c.largest != 0 {
		f := o.largest / c.largest
		c.first += o.first * f
		c.second += o.second * f * f
	}
}

// CheckResiduals is Check of the residuals of a label that is a number, which are what weighs a row in a gradient. Where all are zero,
// so is the gradient: it tells nothing of anyone.
func (c *Concentration) CheckResiduals() error {
	if c.rows < MinEffectiveRows {
		return c.Check()
	}
	if c.largest == 0 {
		return nil
	}
	if err := c.Check(); err != nil {
		return fmt.Errorf("%w; of a label with few extreme values, lower its max in the contract, with outside: clip", err)
	}
	return nil
}

// Check refuses weights whose (Σh)²/Σh² is below MinEffectiveRows. The error wraps ErrConcentrated.
func (c *Concentration) Check() error {
	if c.first*c.first >= MinEffectiveRows*c.second && c.second > 0 {
		return nil
	}
	effective := 0.0
	if c.second > 0 {
		effective = c.first * c.first / c.second
	}
	return fmt.Errorf("%w: %d training rows weigh as %.1f at this state, %d are needed\nhint: a participant needs at least %d training rows; with more, the model singles some out (raise l2 or min_count), or it was chosen to",
		ErrConcentrated, c.rows, effective, MinEffectiveRows, MinEffectiveRows)
}
