#include "bench/load/prompt_text.hpp"

#include <algorithm>
#include <string_view>

namespace svc::load {
namespace {

constexpr std::size_t kBytesPerToken = 4;
constexpr std::size_t kTemplateBytes = 22;  // "<|user|>", a line's end and "<|assistant|>" of the simulator
constexpr std::string_view kWords =
    "the and for are but not you all any can had her was one our out day get has him his how man new now old see two "
    "way "
    "who boy did its let put say she too use air age ago bed big box car cut dry eat end far few fly got hot job key "
    "law "
    "lay leg low may off oil ";
static_assert(kWords.size() == 64 * kBytesPerToken);

/// SplitMix64: numbers that look random, from a seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t value = state_ += 0x9e3779b97f4a7c15ULL;
    value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31U);
  }

 private:
  std::uint64_t state_;
};

void append_words(std::string& out, std::uint64_t seed, std::size_t tokens) {
  Dice dice(seed);
  constexpr std::size_t kWordsPerThrow = 10;
  for (std::size_t done = 0; done < tokens; done += kWordsPerThrow) {
    std::uint64_t thrown = dice.next();
    for (std::size_t i = done; i < std::min(tokens, done + kWordsPerThrow); ++i, thrown >>= 6U) {
      out += kWords.substr((thrown & 63U) * kBytesPerToken, kBytesPerToken);
    }
  }
}

}  // namespace

std::string prompt_text(const routing::Trace& trace, std::uint32_t row) {
  const auto& request = trace.rows[row];
  const auto blocks = trace.blocks(request);
  std::string text;
  text.reserve(std::size_t{request.in} * kBytesPerToken);
  // Ids of blocks and numbers of rows are seeds of two kinds.
  for (const auto id : blocks) append_words(text, id * 2, trace.block_tokens);
  append_words(text, std::uint64_t{row} * 2 + 1, request.in - blocks.size() * trace.block_tokens);
  text.resize(text.size() > kTemplateBytes ? text.size() - kTemplateBytes : 1);
  return text;
}

std::string trace_request(const Options& options, const routing::Trace& trace, std::uint32_t row) {
  const auto& request = trace.rows[row];
  std::string body = R"({"messages":[{"role":"user","content":")" + prompt_text(trace, row);
  body += R"("}],"model":")" + options.model + R"(","max_tokens":)" + std::to_string(request.out) +
          R"(,"temperature":0.7,"stream":true,"stream_options":{"include_usage":true}})";
  return wrap_request(options, body,
                      "X-Session-Id: " + routing::session_name(request, trace.blocks(request), row) + "\r\n");
}

}  // namespace svc::load
