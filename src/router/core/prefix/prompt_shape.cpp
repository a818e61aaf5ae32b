#include "router/core/prefix/prompt_shape.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/core/hex_text.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace svc::router {
namespace {

constexpr std::uint64_t kUnitsLimit = 0xFFFF'FFFFULL;  // PromptBlock::end has 32 bits
constexpr std::size_t kSampleBytes = 1024;             // of each part, for the share of punctuation

constexpr std::array<std::uint8_t, 256> make_marks() {
  std::array<std::uint8_t, 256> marks{};
  for (const char c : std::string_view("{}()[]<>;=_/\\*&|#@$^~`+\t")) marks[static_cast<unsigned char>(c)] = 1;
  return marks;
}
constexpr std::array<std::uint8_t, 256> kMarks = make_marks();

/// A seed would make XXH3 derive a secret for each call, which costs ten times the hash of a block.
std::uint64_t chained(std::uint64_t chain, std::string_view text) {
  std::uint64_t x = (chain + 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL ^ XXH3_64bits(text.data(), text.size());
  x = (x ^ (x >> 30U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

/// Bytes outside of ASCII: the highest bits, summed up in the eight bytes of a word for as long as none can overflow.
/// std::popcount is a call into a library on plain x86-64, and took three quarters of the time of a prompt's hash.
std::uint64_t bytes_beyond_ascii(std::string_view text) {
  constexpr std::size_t kAtOnce = 32;
  constexpr std::size_t kRounds = 63;  // of at most 4 for each lane: below 256
  const auto highest = [&](std::size_t at) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    return (word >> 7U) & 0x0101010101010101ULL;
  };
  std::uint64_t count = 0;
  std::size_t at = 0;
  while (text.size() - at >= kAtOnce) {
    std::uint64_t lanes = 0;
    for (std::size_t round = 0; round < kRounds && text.size() - at >= kAtOnce; ++round, at += kAtOnce) {
      lanes += highest(at) + highest(at + 8) + highest(at + 16) + highest(at + 24);
    }
    const std::uint64_t pairs = (lanes & 0x00FF00FF00FF00FFULL) + ((lanes >> 8U) & 0x00FF00FF00FF00FFULL);
    count += (pairs * 0x0001000100010001ULL) >> 48U;
  }
  for (; at < text.size(); ++at) count += static_cast<std::uint64_t>(static_cast<unsigned char>(text[at]) >> 7U);
  return count;
}

}  // namespace

void append_prefix_text(std::string& out, const PromptShape& shape) {
  std::uint32_t next = kLoggedUnits;
  std::size_t count = 0;
  for (const auto& block : shape.blocks) {
    if (block.end < next) continue;
    if (count++ == kMostLogged) return;
    if (count > 1) out += '.';
    append_hex(out, block.hash, 8);
    next = block.end + kLoggedUnits;
  }
}

void PromptHasher::begin(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape) {
  shape.clear();
  shape_ = &shape;
  block_bytes_ = std::max<std::uint32_t>(block_bytes, 16);
  chain_ = chained(0, seed);
  units_ = open_units_ = 0;
  open_ = false;
}

void PromptHasher::begin_message(std::string_view kind, bool is_answer) {
  chain_ = chained(chain_ + 1, kind);
  first_block_ = shape_->blocks.size();
  is_answer_ = is_answer;
}

void PromptHasher::measure(std::string_view text) {
  shape_->other += bytes_beyond_ascii(text);
  const std::string_view sample = text.substr(0, kSampleBytes);
  std::uint64_t marks = 0;
  for (const char c : sample) marks += kMarks[static_cast<unsigned char>(c)];
  shape_->marks += marks;
  shape_->sampled += sample.size();
}

void PromptHasher::add_text(std::string_view text) {
  measure(text);
  // A part never shares a block with the next one, but for what is left of it: cheap, and the same for equal prompts.
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, block_bytes_ - open_units_);
    chain_ = chained(chain_, piece);
    open_ = true;
    units_ += piece.size();
    open_units_ += piece.size();
    text.remove_prefix(piece.size());
    if (open_units_ >= block_bytes_) close_block();
  }
}

void PromptHasher::add_opaque(std::string_view bytes, std::uint32_t units) {
  chain_ = chained(chain_ + 2, bytes);
  units_ += units;
  open_ = true;
  close_block();
}

void PromptHasher::close_block() {
  open_ = false;
  open_units_ = 0;
  if (shape_->blocks.size() >= kMaxBlocks || units_ > kUnitsLimit) return;
  shape_->blocks.push_back({chain_ | 1U, static_cast<std::uint32_t>(units_), 0});
}

void PromptHasher::end_message() {
  if (open_) close_block();
  if (is_answer_ && first_block_ < shape_->blocks.size()) {
    shape_->blocks[first_block_].answer_blocks = static_cast<std::uint32_t>(shape_->blocks.size() - first_block_);
  }
  is_answer_ = false;
}

void PromptHasher::end() {
  if (open_) close_block();
  shape_->units = units_;
  shape_->end_hash = units_ == 0 ? 0 : chain_ | 1U;
}

}  // namespace svc::router
