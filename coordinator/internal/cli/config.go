package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"

	"tributary/coordinator/internal/engine"
)

// config is DIR/tributary.yaml: what init was told, and serve needs.
type config struct {
	Version      int      `yaml:"version"`
	Consortium   string   `yaml:"consortium"`
	Organisation string   `yaml:"organisation"` // the coordinator's own
	LogOrigin    string   `yaml:"log_origin"`   // the ledger's name for ever
	Addresses    []string `yaml:"addresses"`    // host:port; the first is in invitations, all are in the server's certificate
	Listen       string   `yaml:"listen"`
	// RetainYears: how long events, envelopes and old states of ended jobs are kept, at least 3; 0: for ever. The ledger always is.
	RetainYears int `yaml:"retain_years,omitempty"`
}

const configFile = "tributary.yaml"

func readConfig(dir string) (config, error) {
	var c config
	name := filepath.Join(dir, configFile)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, invalid("Make one with `tributary init --dir "+dir+" --consortium NAME --organisation NAME`.", "%s is no coordinator's data directory", dir)
	}
	if err != nil {
		return c, dirError(dir, err)
	}
	if err := yaml.UnmarshalWithOptions(data, &c, yaml.Strict()); err != nil {
		return c, invalid("", "%s: %v", name, err)
	}
	if c.Version != 1 || c.Consortium == "" || c.Organisation == "" || c.LogOrigin == "" || len(c.Addresses) == 0 {
		return c, invalid("Restore it from a backup.", "%s: version 1 with consortium, organisation, log_origin and addresses is expected", name)
	}
	if c.RetainYears != 0 && (c.RetainYears < minRetainYears || c.RetainYears > 1000) {
		return c, invalid("Write 3 or more, or leave it out to keep all for ever.", "%s: retain_years is %d, at least %d", name, c.RetainYears, minRetainYears)
	}
	return c, nil
}

// retention is RetainYears as a duration; 0: for ever.
func (c config) retention() time.Duration {
	return time.Duration(c.RetainYears) * engine.MinRetention / minRetainYears
}

const minRetainYears = 3

// write makes the file, whole or not at all.
func (c config) write(dir string) error {
	data, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, configFile), data)
}

// replaceFile writes a file of mode 0600 that is there whole, and durable, or not at all.
func replaceFile(name string, data []byte) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	return err
}

// hosts are the names under which clients may reach the server.
func (c config) hosts() (out []string, err error) {
	for _, a := range append(slices.Clone(c.Addresses), "localhost:1", "127.0.0.1:1", "[::1]:1") {
		host, _, err := net.SplitHostPort(a)
		if err != nil || host == "" {
			return nil, invalid("Write host:port, such as coordinator.example.org:8443.", "address %q", a)
		}
		if !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	return out, nil
}

// origin names the ledger: printable ASCII without spaces, and unlike that of any other coordinator.
func origin(consortium string, key []byte) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, consortium)
	digest := sha256.Sum256(key)
	return "tributary/" + strings.Trim(name, "-") + "/" + hex.EncodeToString(digest[:4])
}

// dirError explains why a data directory can't be used.
func dirError(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOSPC) {
		return invalid("Choose another with --dir, or let this user write there.", "data directory %s can't be written: %v", dir, err)
	}
	return fmt.Errorf("data directory %s: %w", dir, err)
}

// makeDir makes the data directory for its owner only and checks that it can be written.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return dirError(dir, err)
	}
	f, err := os.CreateTemp(dir, ".write-*")
	if err != nil {
		return dirError(dir, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// lockDir takes the data directory for this process until it ends.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, dirError(dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, invalid("Stop the other one first.", "another coordinator uses %s", dir)
	}
	return func() { f.Close() }, nil
}
