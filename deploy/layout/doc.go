// Package layout holds the house to its plan: which package may import which. Its tests are the policy.
package layout
