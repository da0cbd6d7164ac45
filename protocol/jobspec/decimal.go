package jobspec

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// Decimal is a decimal number as it was written, such as "1.0" or "1e-5". It
// stands for an exact rational: no privacy parameter passes through a float.
type Decimal string

var decimalText = regexp.MustCompile(`^(0|[1-9][0-9]{0,29})(\.[0-9]{1,60})?(e-?[0-9]{1,3})?$`)

// Rat returns the exact value. A Decimal is non-negative, has at most 30 digits
// before and 60 after the point, and an exponent within ±300.
func (d Decimal) Rat() (*big.Rat, error) {
	s := strings.Replace(string(d), "E", "e", 1)
	if !decimalText.MatchString(s) {
		return nil, fmt.Errorf("%s is not a decimal number", show(string(d)))
	}
	if _, exponent, ok := strings.Cut(s, "e"); ok {
		if n, err := strconv.Atoi(exponent); err != nil || n > 300 || n < -300 {
			return nil, fmt.Errorf("the exponent of %s is not within -300 to 300", show(string(d)))
		}
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, fmt.Errorf("%s is not a decimal number", show(string(d)))
	}
	return r, nil
}
