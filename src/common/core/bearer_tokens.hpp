// Who may call: bearer tokens from a file, each with a scope. Only SHA-256 digests are kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/core/result.hpp"

namespace svc {

enum class TokenScope { read, write };  ///< write includes read
std::string_view to_string(TokenScope scope);

/// Immutable after parse; share and swap whole on reload.
class BearerTokens {
 public:
  /// No tokens: nobody has to show one, empty() is true.
  BearerTokens() = default;
  /// A line: "<token> read" or "<token> write"; blank lines and lines that start with '#' are skipped. Tokens are 16 to
  /// 256 visible ASCII characters. A file without a token is an error (fail closed), as is a repeated token. Messages
  /// give the line's number and never its text.
  [[nodiscard]] static Result<BearerTokens> parse(std::string_view file_text);

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// The scope of that token. Time does not depend on which entry matches or on how much of it: both sides are hashed
  /// and all entries are always compared, each in constant time.
  [[nodiscard]] std::optional<TokenScope> scope_of(std::string_view presented) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  struct Entry {
    Digest digest;
    TokenScope scope;
  };
  static Digest digest_of(std::string_view text);
  std::vector<Entry> entries_;
};

/// The token of "Bearer <token>" (scheme in any case, one or more spaces); nullopt for another scheme, no token, or
/// blanks inside it.
[[nodiscard]] std::optional<std::string_view> bearer_of(std::string_view authorization_value);

}  // namespace svc
