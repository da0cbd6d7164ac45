package wire

import "fmt"

// MaxBundle is the most bytes of a Bundle.
const MaxBundle = 16 << 20

// Bundle carries several encoded objects in one transfer. It is not signed: each item says for itself who signed it.
type Bundle struct{ Items [][]byte }

func (b *Bundle) fields(c *codec) {
	list(c, "items", &b.Items, 4*MaxMembers, func(item *[]byte) { c.bytes("item", item, MaxObject) })
}

// Bytes gives the bundle's one encoding.
func (b *Bundle) Bytes() []byte {
	c := codec{}
	b.fields(&c)
	if c.err != nil {
		panic("wire: encode bundle: " + c.err.Error())
	}
	return c.data
}

// ParseBundle reads a bundle. Errors wrap ErrMalformed.
func ParseBundle(data []byte) (Bundle, error) {
	if len(data) > MaxBundle {
		return Bundle{}, fmt.Errorf("%w: bundle of %d bytes, at most %d", ErrMalformed, len(data), MaxBundle)
	}
	c := codec{data: data, decoding: true}
	var b Bundle
	b.fields(&c)
	if c.err == nil && len(c.data) != 0 {
		c.fail("%d bytes too many", len(c.data))
	}
	if c.err != nil {
		return Bundle{}, fmt.Errorf("decode bundle: %w", c.err)
	}
	return b, nil
}
