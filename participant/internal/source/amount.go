package source

import (
	"math"
	"strconv"
	"strings"
)

// amount is a decimal in millionths: sums are exact, whatever their order.
type amount int64

const (
	amountPlaces = 6
	amountUnit   = 1_000_000
)

var errLarge = &wrong{"the amount, or the customer's sum, is beyond ±9,223,372,036,854", "correct it in the source, or count in a larger unit"}

// decimal is coefficient / 10^places, places being as few as can be.
type decimal struct {
	coefficient int64
	places      int
}

// parseDecimal reads digits with a sign and a point or without: no exponents, no infinities.
func parseDecimal(cell string) (decimal, *wrong) {
	digits, negative := cell, false
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		negative, digits = digits[0] == '-', digits[1:]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return decimal{}, &wrong{"expected a decimal number, found " + show(cell), "write it as 12 or 12.50, without exponents, currencies or separators of thousands"}
	}
	fraction = strings.TrimRight(fraction, "0")
	n, err := strconv.ParseInt("0"+whole+fraction, 10, 64)
	if err != nil {
		return decimal{}, &wrong{show(cell) + " has too many digits", "18 significant digits are read at most; correct it in the source"}
	}
	if negative {
		n = -n
	}
	return decimal{n, len(fraction)}, nil
}

// times multiplies.
func (d decimal) times(e decimal) (decimal, *wrong) {
	n, ok := multiply(d.coefficient, e.coefficient)
	if !ok {
		return decimal{}, errLarge
	}
	p := decimal{n, d.places + e.places}
	for p.places > 0 && p.coefficient%10 == 0 {
		p.coefficient /= 10
		p.places--
	}
	return p, nil
}

// amount is the decimal in millionths.
func (d decimal) amount() (amount, *wrong) {
	if d.places > amountPlaces {
		return 0, &wrong{"the amount has more than 6 decimals", "round it in the source"}
	}
	n := d.coefficient
	for range amountPlaces - d.places {
		var ok bool
		if n, ok = multiply(n, 10); !ok {
			return 0, errLarge
		}
	}
	return amount(n), nil
}

// multiply tells whether the product is within ±(2⁶³ - 1); no factor is -2⁶³.
func multiply(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	p := a * b
	return p, p/b == a && p != math.MinInt64
}

// plus tells whether the sum is within ±(2⁶³ - 1).
func (a amount) plus(b amount) (amount, bool) {
	s := a + b
	return s, (s > a) == (b > 0) && s != math.MinInt64
}

func (a amount) String() string {
	sign := ""
	if a < 0 {
		sign, a = "-", -a
	}
	whole, fraction := strconv.FormatInt(int64(a/amountUnit), 10), strconv.FormatInt(int64(a%amountUnit)+amountUnit, 10)[1:]
	return strings.TrimSuffix(sign+whole+"."+strings.TrimRight(fraction, "0"), ".")
}
