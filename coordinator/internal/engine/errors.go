package engine

import "fmt"

// Class is how a failure is to be answered.
type Class uint8

// The classes.
const (
	Invalid      Class = 1 + iota // the request can't be right
	Missing                       // it names something that isn't there
	Denied                        // the caller may not
	Precondition                  // not now, or not in this state
	Busy                          // try again
	Unauthorised                  // the caller isn't who it must be
)

// Error is a failure that a caller is told: what, where, and the remedy.
type Error struct {
	Class   Class
	Code    string // stable, for programs
	Field   string // of the request; may be empty
	Message string
	Hint    string
	Err     error // may be nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func fail(class Class, code, hint, format string, args ...any) *Error {
	return &Error{Class: class, Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)}
}
