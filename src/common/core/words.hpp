// One text with several words, as a person types it for a program: split like a POSIX shell would, without anything else
// that a shell does (no variables, no patterns, no commands).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.hpp"

namespace svc {

/// Blanks (space, tab, line ends) separate; '...' keeps everything, "..." everything but a backslash before one of
/// \ " $ ` and the line end, and elsewhere a backslash keeps the next character. '' and "" are a word without characters.
/// Error: client's, "has an open quote" or "ends in a backslash", to be put behind the name of what was read.
[[nodiscard]] Result<std::vector<std::string>> split_words(std::string_view text);

/// The word as split_words, and a shell, reads it back: as it is, or in single quotes where it needs them.
[[nodiscard]] std::string quoted_word(std::string_view word);

/// The words with blanks between, each quoted where needed: what split_words takes apart again.
[[nodiscard]] std::string joined_words(const std::vector<std::string>& words);

}  // namespace svc
