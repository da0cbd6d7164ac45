package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	keyFile  = "ca.key"
	certFile = "ca.pem"
	// maxFileBytes bounds what Load reads of either file.
	maxFileBytes = 64 << 10
)

// Load reads the authority that Init stored in dir. Errors wrap ErrStorage.
func Load(dir string) (*CA, error) {
	c, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("load certificate authority: %w", err)
	}
	return c, nil
}

func load(dir string) (*CA, error) {
	keyPath := filepath.Join(dir, keyFile)
	info, err := os.Stat(keyPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w (hint: run `tributary init`, or restore %s and %s from a backup)", ErrStorage, err, keyFile, certFile)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w: %s has mode %04o (hint: chmod 600 %s)", ErrStorage, keyPath, info.Mode().Perm(), keyPath)
	}
	keyDER, err := readPEM(keyPath, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: not a PKCS #8 key (hint: restore it from a backup)", ErrStorage, keyPath)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: %s: not an ECDSA P-256 key", ErrStorage, keyPath)
	}
	certPath := filepath.Join(dir, certFile)
	der, err := readPEM(certPath, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrStorage, certPath, err)
	}
	if !root.IsCA || !root.BasicConstraintsValid || !key.PublicKey.Equal(root.PublicKey) || root.CheckSignatureFrom(root) != nil {
		return nil, fmt.Errorf("%w: %s isn't the root certificate of %s (hint: restore both from the same backup)", ErrStorage, certFile, keyFile)
	}
	return &CA{root: root, key: key}, nil
}

// readPEM reads a file of exactly one PEM block of the given type.
func readPEM(path, blockType string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w (hint: restore it from a backup)", ErrStorage, err)
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d", ErrStorage, path, info.Size(), maxFileBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != blockType || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fmt.Errorf("%w: %s: want one PEM block %q (hint: restore it from a backup)", ErrStorage, path, blockType)
	}
	return block.Bytes, nil
}

func checkAbsent(dir string) error {
	for _, name := range []string{keyFile, certFile} {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil {
			return fmt.Errorf("%w: %s (hint: keep it, or to start anew move %s and %s away; every participant must then enrol again)", ErrExists, filepath.Join(dir, name), keyFile, certFile)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %w", ErrStorage, err)
		}
	}
	return nil
}

// save writes the certificate, then the key: an authority exists once its key does.
func save(dir string, root *x509.Certificate, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeNew(dir, certFile, 0o644, "CERTIFICATE", root.Raw); err != nil {
		return err
	}
	return writeNew(dir, keyFile, 0o600, "PRIVATE KEY", der)
}

// writeNew makes a file with one PEM block, durable and whole or not at all, and never over another: it links a finished
// temporary file to its name.
func writeNew(dir, name string, mode fs.FileMode, blockType string, der []byte) error {
	f, err := os.CreateTemp(dir, name+".tmp-*") // mode 0600
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	defer os.Remove(f.Name())
	err = pem.Encode(f, &pem.Block{Type: blockType, Bytes: der})
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Link(f.Name(), filepath.Join(dir, name))
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", ErrExists, err)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
