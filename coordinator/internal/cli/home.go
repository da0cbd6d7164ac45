package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tributary/crypto/identity"
)

// login is what `tributary login` leaves in the home folder: client.json, operator.key and chain.pem.
type login struct {
	Address     string `json:"address"`
	Fingerprint string `json:"ca_fingerprint"`  // SHA-256 of the root, hexadecimal
	Coordinator string `json:"coordinator_key"` // that signs charter and ledger, hexadecimal
	Consortium  string `json:"consortium"`
	Name        string `json:"name"`

	fingerprint [32]byte
	coordinator identity.PublicKey
	certificate tls.Certificate
}

func (a *app) file(name string) string { return filepath.Join(a.home, name) }

// readLogin loads what login stored.
func (a *app) readLogin() (*login, error) {
	data, err := os.ReadFile(a.file("client.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{exit: exitUnauthorised, Code: "not-logged-in", Message: "nobody is logged in here (" + a.home + ")",
			Hint: "Ask the coordinator's operator for a token and run `tributary login --token TOKEN`."}
	}
	if err != nil {
		return nil, fmt.Errorf("read login: %w", err)
	}
	l := &login{}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("read login %s: %w\nhint: log in again", a.file("client.json"), err)
	}
	if b, err := hex.DecodeString(l.Fingerprint); err != nil || copy(l.fingerprint[:], b) != len(l.fingerprint) {
		return nil, fmt.Errorf("read login %s: bad fingerprint\nhint: log in again", a.file("client.json"))
	}
	if l.coordinator, err = identity.ParsePublicKey(l.Coordinator); err != nil {
		return nil, fmt.Errorf("read login %s: %w\nhint: log in again", a.file("client.json"), err)
	}
	if l.certificate, err = tls.LoadX509KeyPair(a.file("chain.pem"), a.file("operator.key")); err != nil {
		return nil, fmt.Errorf("read login: %w\nhint: log in again", err)
	}
	return l, nil
}

// writeLogin stores a login; client.json comes last and makes it count.
func (a *app) writeLogin(l *login, key *ecdsa.PrivateKey, chain [][]byte) error {
	if err := os.MkdirAll(a.home, 0o700); err != nil {
		return fmt.Errorf("store login: %w\nhint: choose another folder with --home", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	var certificates []byte
	for _, c := range chain {
		certificates = append(certificates, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	document, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"operator.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
		{"chain.pem", certificates},
		{"client.json", append(document, '\n')},
	} {
		if err := replaceFile(a.file(f.name), f.data); err != nil {
			return fmt.Errorf("store login: %w\nhint: choose another folder with --home", err)
		}
	}
	return nil
}

// newRequest makes a TLS key and the request for its certificate; names come from the coordinator.
func newRequest() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	return key, csr, err
}
