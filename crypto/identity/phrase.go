package identity

import "strings"

// Phrase turns a digest into five pronounceable words (80 bits) to compare over the telephone. Each word is a
// proquint, sixteen bits as consonant-vowel-consonant-vowel-consonant [Wilkerson 2009, arXiv:0901.4016].
// A forger needs about 2⁸⁰ tries to match one, so a phrase that agrees settles which digest is meant.
func Phrase(digest [32]byte) string {
	words := make([]string, 5)
	for i := range words {
		words[i] = proquint(uint16(digest[2*i])<<8 | uint16(digest[2*i+1]))
	}
	return strings.Join(words, "-")
}

func proquint(v uint16) string {
	const consonants, vowels = "bdfghjklmnprstvz", "aiou"
	return string([]byte{
		consonants[v>>12], vowels[v>>10&3], consonants[v>>6&15], vowels[v>>4&3], consonants[v&15],
	})
}
