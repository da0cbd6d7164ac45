package invite

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sample() Token {
	t := Token{Version: Version, Kind: Participant, Address: "coordinator.example.org:8443", Name: "alpen-shop"}
	for i := range t.Fingerprint {
		t.Fingerprint[i] = byte(i)
	}
	for i := range t.Secret {
		t.Secret[i] = byte(0xf0 + i)
	}
	return t
}

func encoded(t testing.TB, token Token) string {
	t.Helper()
	s, err := token.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withPayload encodes b as a token with a fitting checksum, as a forger would.
func withPayload(b []byte) string {
	return prefix + base32lower.EncodeToString(append(b[:len(b):len(b)], checksum(b)...))
}

func payload(t testing.TB, token Token) []byte {
	t.Helper()
	b, err := base32lower.DecodeString(strings.TrimPrefix(encoded(t, token), prefix))
	if err != nil {
		t.Fatal(err)
	}
	return b[:len(b)-checksumLen]
}

func TestTokenHasOneEncoding(t *testing.T) {
	const want = "tributary-invite-aeaqaaicamcakbqhbaequcymbuha6earcijrifiwc4mbsgq3dqor4h7q6hzph5hv6337r6p27p6p37x7drrw633smruw4ylun5zc4zlymfwxa3dffzxxezz2ha2dimykmfwhazlofvzwq33quqvfzcq"
	if got := encoded(t, sample()); got != want {
		t.Fatalf("token\n%s, want\n%s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		in := Token{
			Version: Version,
			Kind:    rapid.SampledFrom([]Kind{Participant, Operator}).Draw(t, "kind"),
			Address: rapid.StringMatching(`([a-z][a-z0-9-]{0,20}(\.[a-z]{2,5}){0,3}|[1-9]\.2\.3\.4|\[2001:db8::[1-9]\]):[1-9][0-9]{0,3}`).Draw(t, "address"),
			Name:    rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,62}`).Draw(t, "name"),
		}
		copy(in.Fingerprint[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "fingerprint"))
		copy(in.Secret[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "secret"))
		in.Fingerprint[0] |= 1
		in.Secret[0] |= 1
		s, err := in.Encode()
		if err != nil {
			t.Fatal(err)
		}
		out, err := Parse(s)
		if err != nil || out != in {
			t.Fatalf("read back %s, %v", out, err)
		}
	})
}

func TestTypingErrorIsNamed(t *testing.T) {
	good := encoded(t, sample())
	for i := range good {
		for _, c := range []byte("a7q0A \n=-\xff") {
			if good[i] == c {
				continue
			}
			typo := good[:i] + string([]byte{c}) + good[i+1:]
			want := ErrChecksum
			if i < len(prefix) {
				want = ErrMalformed
			}
			if _, err := Parse(typo); !errors.Is(err, want) {
				t.Fatalf("character %d is %q: %v, want %v", i+1, c, err, want)
			}
		}
	}
	for n := range good {
		if _, err := Parse(good[:n]); !errors.Is(err, ErrChecksum) && !errors.Is(err, ErrMalformed) {
			t.Fatalf("first %d characters: %v", n, err)
		}
	}
	for i := len(prefix); i+1 < len(good); i++ {
		if good[i] == good[i+1] {
			continue
		}
		swapped := good[:i] + good[i+1:i+2] + good[i:i+1] + good[i+2:]
		if _, err := Parse(swapped); !errors.Is(err, ErrChecksum) {
			t.Fatalf("characters %d and %d swapped: %v", i+1, i+2, err)
		}
	}
	if _, err := Parse(good[:40] + " " + good[40:]); err == nil || !strings.Contains(err.Error(), "character 41 ") {
		t.Fatalf("a space at 41: %v", err)
	}
	for name, s := range map[string]string{"a character more": good + "a", "twice": good + good, "in capitals": strings.ToUpper(good), "too long": good + strings.Repeat("a", 600), "empty": ""} {
		if _, err := Parse(s); !errors.Is(err, ErrChecksum) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Base32 leaves up to four bits of the last character unused: they must be zero, whatever the token's length.
func TestStrayBitsAreRefused(t *testing.T) {
	for n := range 10 {
		token := sample()
		token.Name = strings.Repeat("n", n+1)
		good := encoded(t, token)
		for _, c := range "abcdefghijklmnopqrstuvwxyz234567" {
			s := good[:len(good)-1] + string(c)
			if _, err := Parse(s); (err == nil) != (s == good) || err != nil && !errors.Is(err, ErrChecksum) {
				t.Errorf("name of %d bytes, last character %c: %v", n+1, c, err)
			}
		}
	}
}

func TestForgedFieldsAreRefused(t *testing.T) {
	b := payload(t, sample())
	if _, err := Parse(withPayload(b)); err != nil {
		t.Fatal(err)
	}
	edit := func(f func([]byte) []byte) string { return withPayload(f(append([]byte(nil), b...))) }
	set := func(i int, v byte) string { return edit(func(b []byte) []byte { b[i] = v; return b }) }
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"version 0":              {set(0, 0), ErrVersion},
		"version 2":              {set(0, 2), ErrVersion},
		"kind 0":                 {set(1, 0), ErrMalformed},
		"kind 3":                 {set(1, 3), ErrMalformed},
		"no fingerprint":         {edit(func(b []byte) []byte { clear(b[2:34]); return b }), ErrMalformed},
		"no secret":              {edit(func(b []byte) []byte { clear(b[34:50]); return b }), ErrMalformed},
		"address length beyond":  {set(50, 255), ErrMalformed},
		"address length 0":       {set(50, 0), ErrMalformed},
		"address shorter":        {set(50, b[50]-1), ErrMalformed},
		"space in address":       {set(51, ' '), ErrMalformed},
		"no name":                {edit(func(b []byte) []byte { b = b[:len(b)-10]; b[len(b)-1] = 0; return b }), ErrMalformed},
		"name cut":               {edit(func(b []byte) []byte { return b[:len(b)-1] }), ErrMalformed},
		"a byte after the name":  {edit(func(b []byte) []byte { return append(b, 'x') }), ErrMalformed},
		"name begins with '-'":   {set(len(b)-10, '-'), ErrMalformed},
		"name with a slash":      {set(len(b)-1, '/'), ErrMalformed},
		"name with a line break": {set(len(b)-1, '\n'), ErrMalformed},
	} {
		if _, err := Parse(c.token); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestOnlyReadableTokensAreMade(t *testing.T) {
	for name, edit := range map[string]func(*Token){
		"no version":      func(t *Token) { t.Version = 0 },
		"no kind":         func(t *Token) { t.Kind = 0 },
		"no fingerprint":  func(t *Token) { t.Fingerprint = [32]byte{} },
		"no secret":       func(t *Token) { t.Secret = [16]byte{} },
		"no address":      func(t *Token) { t.Address = "" },
		"no port":         func(t *Token) { t.Address = "host" },
		"no host":         func(t *Token) { t.Address = ":8443" },
		"port 0":          func(t *Token) { t.Address = "host:0" },
		"port 65536":      func(t *Token) { t.Address = "host:65536" },
		"named port":      func(t *Token) { t.Address = "host:https" },
		"long address":    func(t *Token) { t.Address = strings.Repeat("h", MaxAddressBytes) + ":1" },
		"address umlaut":  func(t *Token) { t.Address = "häuser.example:1" },
		"no name":         func(t *Token) { t.Name = "" },
		"long name":       func(t *Token) { t.Name = strings.Repeat("n", MaxNameBytes+1) },
		"name with space": func(t *Token) { t.Name = "alpen shop" },
		"name with colon": func(t *Token) { t.Name = "a:b" },
		"name with ü":     func(t *Token) { t.Name = "glück" },
	} {
		token := sample()
		edit(&token)
		if _, err := token.Encode(); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokenIsNotLogged(t *testing.T) {
	token := sample()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, v := range []any{token, &token, []Token{token}, struct{ T Token }{token}} {
			got := strings.ToLower(fmt.Sprintf(verb, v))
			for _, secret := range []string{"f0f1f2", "f0 f1", "240 241", "0xf0", "\xf0\xf1"} {
				if strings.Contains(got, secret) {
					t.Errorf("%s of %T shows the secret: %s", verb, v, got)
				}
			}
		}
	}
	good := encoded(t, token)
	if _, err := Parse(good[:len(good)-1] + "0"); strings.Contains(err.Error(), good[60:80]) {
		t.Errorf("error shows the token: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	token := sample()
	b := payload(f, token)
	f.Add([]byte(encoded(f, token)), true)
	f.Add(b, false)
	f.Add([]byte(prefix), true)
	f.Fuzz(func(t *testing.T, in []byte, raw bool) {
		s := string(in)
		if !raw { // with a fitting checksum, so that the fields are reached
			s = withPayload(in)
		}
		got, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrChecksum) && !errors.Is(err, ErrVersion) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if again, err := got.Encode(); err != nil || again != s {
			t.Fatalf("%s re-encodes to %s, %v", s, again, err)
		}
		if _, err := ClientTLS(got.Fingerprint, got.Address); err != nil {
			t.Fatalf("a token whose address can't be dialled: %v", err)
		}
	})
}
