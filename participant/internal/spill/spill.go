// Package spill keeps rows in a file that has no name instead of in the heap, so that a participant's memory doesn't grow with its
// rows. Arrays are appended by ordinary writes, so that a full disk is an error, and then mapped for reading: they are ordinary
// slices, whose pages the kernel brings in when they are read and takes back when they are done with.
//
// The file is private: mode 0600, in the participant's own data directory, and gone with the process, however it ends. A disk that
// fails while rows are read back ends the process (SIGBUS): nothing leaves.
package spill

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"tributary/models/dataset"
)

// ErrKeep is wrapped by every error. The message names the directory, and nothing of the rows.
var ErrKeep = errors.New("rows can't be kept on disk")

// namePattern is of the file between its creation and the removal of its name, where the system can't do without one.
const namePattern = ".spill-*"

// Spill is a dataset.Memory: one file with many arrays. It takes its disk space back once nothing references it.
type Spill struct {
	*file
	arrays *Spill // what else must stay readable, or nil
}

// file is what a Spill's end releases.
type file struct {
	dir string

	mu   sync.Mutex // guards the fields below
	f    *os.File
	next int64    // where the next array begins
	maps [][]byte // by address
}

var page = int64(os.Getpagesize())

// New makes an empty file without a name in a directory.
func New(dir string) (*Spill, error) {
	f, err := create(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: make a file in %s: %w\nhint: the participant's user must be able to write there, and the disk needs room", ErrKeep, dir, err)
	}
	s := &Spill{file: &file{dir: dir, f: f}}
	runtime.AddCleanup(s, (*file).close, s.file)
	return s, nil
}

// Beside makes another file in the same directory, which keeps this one's arrays readable.
func (s *Spill) Beside() (*Spill, error) {
	other, err := New(s.dir)
	if err == nil {
		other.arrays = s
	}
	return other, err
}

// createNamed makes a file and removes its name at once. A process that was killed in between has left an empty one.
func createNamed(dir string) (*os.File, error) {
	left, _ := filepath.Glob(filepath.Join(dir, namePattern)) // the pattern is valid
	for _, name := range left {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	f, err := os.CreateTemp(dir, namePattern) // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *file) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.maps {
		unix.Munmap(m) // nothing can be done about an error, nor does it come of a mapping of our own
	}
	f.f.Close()
}

// Array begins an array. The space between arrays that are shorter than their limits is a hole in the file: it takes no disk.
func (s *Spill) Array(limit int64) (dataset.Array, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &array{spill: s, from: s.next, limit: max(limit, 0)}
	s.next += (a.limit + page - 1) / page * page
	return a, nil
}

// around is how far beside the pages that are read the kernel may bring in others, with room to spare: it is 64 KiB unless set
// otherwise (fault_around_bytes).
const around = 1 << 20

// Done gives the pages that hold a part of an array back to the kernel, and those around it: they are in the page cache, and come
// back when they are read. The part may be of the spill that this one was made beside.
func (s *Spill) Done(part []byte) {
	if len(part) == 0 {
		return
	}
	start := address(part)
	for ; s != nil; s = s.arrays {
		if m := s.find(start); m != nil {
			from := (max(int64(start-address(m))-around, 0)) / page * page
			to := min(int64(start-address(m))+int64(len(part))+around, int64(len(m)))
			unix.Madvise(m[from:to], unix.MADV_DONTNEED) // at worst, the pages stay
			break
		}
	}
	runtime.KeepAlive(s)
}

// find gives the mapping that an address lies in, or nil.
func (f *file) find(at uintptr) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := slices.BinarySearchFunc(f.maps, at, func(m []byte, at uintptr) int { return cmp.Compare(address(m), at) })
	if !ok {
		i-- // the last one that begins before
	}
	if i < 0 || at-address(f.maps[i]) >= uintptr(len(f.maps[i])) {
		return nil
	}
	return f.maps[i]
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// array is one that is being written.
type array struct {
	spill       *Spill
	from, limit int64
	size        int64
}

// Write appends.
func (a *array) Write(p []byte) (int, error) {
	if a.size+int64(len(p)) > a.limit {
		return 0, fmt.Errorf("%w: an array in %s has more than %d bytes\nhint: was the file of data written to while it was read?", ErrKeep, a.spill.dir, a.limit)
	}
	n, err := a.spill.f.WriteAt(p, a.from+a.size)
	a.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("%w: write in %s: %w\nhint: rows take 8 bytes a number and 4 a category there, and about as much again for each job that trains: make room, or move data_dir", ErrKeep, a.spill.dir, err)
	}
	return n, nil
}

// Bytes maps what was written.
func (a *array) Bytes() ([]byte, error) {
	if a.size == 0 {
		return nil, nil
	}
	s := a.spill
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := unix.Mmap(int(s.f.Fd()), a.from, int(a.size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%w: map a file in %s: %w\nhint: is there a limit of address space (ulimit -v), or of mappings (vm.max_map_count)?", ErrKeep, s.dir, err)
	}
	i, _ := slices.BinarySearchFunc(s.maps, address(data), func(m []byte, at uintptr) int { return cmp.Compare(address(m), at) })
	s.maps = slices.Insert(s.maps, i, data)
	return data, nil
}
