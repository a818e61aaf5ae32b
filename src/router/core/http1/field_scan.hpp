// Reads the fields of a head, of requests and answers alike, in one pass and into the caller's array.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/core/header_rules.hpp"
#include "router/core/http1/field_kind.hpp"

namespace svc::router {

/// May a head that was incomplete when it had `scanned` bytes be judged now? False when the bytes that came since can
/// change nothing: they end no first line and no head, and have no bare LF. `longest_line`: what a first line may have.
[[nodiscard]] bool worth_reading(std::string_view head, std::size_t scanned, std::size_t longest_line);

/// Of a field that is given twice, the first counts.
inline void take_first(std::string_view& into, std::string_view value) {
  if (into.data() == nullptr) into = value;
}

/// Fields one by one, each checked for syntax and limits (RFC 9112 section 5). Names are tokens; values are trimmed.
class FieldScan {
 public:
  enum class Step : std::uint8_t { field, end, incomplete, refused };

  /// `bytes` begins after the first line; what is read goes into the two arrays, which are of one size. `message` is
  /// "request" or "answer", for the refusals.
  FieldScan(std::string_view bytes, std::span<FieldView> fields, std::span<FieldKind> kinds, const HeadLimits& limits,
            const char* message)
      : begin_(bytes.data()),
        at_(bytes.data()),
        end_(bytes.data() + bytes.size()),
        fields_(fields),
        kinds_(kinds),
        limits_(limits),
        message_(message) {}

  Step next();
  [[nodiscard]] const FieldView& field() const { return fields_[count_ - 1]; }
  [[nodiscard]] FieldKind kind() const { return kinds_[count_ - 1]; }
  [[nodiscard]] std::size_t count() const { return count_; }
  /// Bytes of what was read; after `end` with the blank line.
  [[nodiscard]] std::size_t used() const { return static_cast<std::size_t>(at_ - begin_); }
  /// After `refused`: 400, or 431 beyond a limit.
  [[nodiscard]] HeadRefusal& refusal() { return refusal_; }

 private:
  Step refuse(int status, std::string message);
  Step blank_line();
  Step bad_name(const char* name_end);
  Step bad_value(std::string_view name, const char* value_end);
  Step accept(std::string_view name, const char* value, const char* value_end);

  const char* begin_;
  const char* at_;
  const char* end_;
  std::span<FieldView> fields_;
  std::span<FieldKind> kinds_;
  const HeadLimits& limits_;
  const char* message_;
  std::size_t count_ = 0;
  std::size_t total_ = 0;
  HeadRefusal refusal_;
};

/// What Connection says (RFC 9110 section 7.6.1), over all its fields.
struct ConnectionWords {
  std::span<std::string_view>
      options;  ///< storage for the others; those that are no tokens can name no field: left out
  std::size_t count = 0;
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;  ///< also among the options

  /// False: more options than there is storage for.
  [[nodiscard]] bool add(std::string_view value);
};

}  // namespace svc::router
