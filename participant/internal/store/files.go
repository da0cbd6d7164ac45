package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"tributary/protocol/crashpoint"
)

// Lock takes the data directory for one running node; the returned function gives it back. ErrLocked if another has it.
func (s *Store) Lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, s.dir)
		}
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return func() { f.Close() }, nil
}

// WriteFile replaces a file of the data directory, whole and synced or not at all, with mode 0600.
func (s *Store) WriteFile(name string, data []byte) error {
	return replace(filepath.Join(s.dir, name), data)
}

// replace writes path.new, syncs it, renames it over path and syncs the folder.
func replace(path string, data []byte) error {
	name := filepath.Base(path)
	crashpoint.Here("participant/file-" + name + "/before")
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	crashpoint.Here("participant/file-" + name + "/after")
	return nil
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
