#include "common/core/bearer_tokens.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <map>
#include <string>

#include "common/core/header_rules.hpp"

namespace svc {
namespace {

constexpr std::size_t kMinToken = 16;
constexpr std::size_t kMaxToken = 256;

bool visible(char c) { return c > 0x20 && c < 0x7f; }

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return trim_blanks(line);
}

std::optional<TokenScope> scope_named(std::string_view word) {
  if (word == "read") return TokenScope::read;
  if (word == "write") return TokenScope::write;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(TokenScope scope) {
  switch (scope) {
    case TokenScope::read: return "read";
    case TokenScope::write: return "write";
  }
  return "unknown";
}

BearerTokens::Digest BearerTokens::digest_of(std::string_view text) {
  Digest digest{};
  // The API takes unsigned bytes; the text is only read.
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

Result<BearerTokens> BearerTokens::parse(std::string_view file_text) {
  BearerTokens tokens;
  std::map<Digest, std::size_t> first_line;
  for (std::size_t number = 1; !file_text.empty(); ++number) {
    const std::string_view line = next_line(file_text);
    if (line.empty() || line.starts_with('#')) continue;
    const auto at_line = [&](std::string_view what) {
      return invalid("token file, line " + std::to_string(number) + ": " + std::string(what));
    };
    const std::size_t blank = line.find_first_of(" \t");
    const std::string_view token = line.substr(0, blank);
    if (blank == std::string_view::npos) return at_line("expected '<token> read' or '<token> write'");
    const auto scope = scope_named(trim_blanks(line.substr(blank)));
    if (!scope) return at_line("the scope must be 'read' or 'write'");
    if (token.size() < kMinToken || token.size() > kMaxToken) return at_line("a token must have 16 to 256 characters");
    if (!std::all_of(token.begin(), token.end(), visible)) {
      return at_line("a token may have visible ASCII characters only");
    }
    const Digest digest = digest_of(token);
    const auto [known, is_new] = first_line.emplace(digest, number);
    if (!is_new) return at_line("the token of line " + std::to_string(known->second) + " again");
    tokens.entries_.push_back(Entry{digest, *scope});
  }
  if (tokens.empty()) return invalid("token file: there is no token in it");
  return tokens;
}

std::optional<TokenScope> BearerTokens::scope_of(std::string_view presented) const {
  const Digest digest = digest_of(presented);
  // No early exit: which entry matched must not show in the time taken.
  std::optional<TokenScope> found;
  for (const Entry& entry : entries_) {
    const bool same = CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0;
    if (same) found = entry.scope;
  }
  return found;
}

std::optional<std::string_view> bearer_of(std::string_view authorization_value) {
  constexpr std::string_view kScheme = "Bearer";
  const std::string_view value = trim_blanks(authorization_value);
  if (value.size() <= kScheme.size() || !equal_ignoring_case(value.substr(0, kScheme.size()), kScheme))
    return std::nullopt;
  if (value[kScheme.size()] != ' ') return std::nullopt;
  const std::string_view token = trim_blanks(value.substr(kScheme.size()));
  if (token.empty() || !std::all_of(token.begin(), token.end(), visible)) return std::nullopt;
  return token;
}

}  // namespace svc
