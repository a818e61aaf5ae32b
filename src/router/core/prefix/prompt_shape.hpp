// What a prompt looks like to a prefix cache: a chain of block hashes, each over all that stands before it, so that two
// prompts share exactly the blocks of their common beginning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace svc::router {

struct PromptBlock {
  std::uint64_t hash = 0;  ///< of everything up to its end; never 0
  std::uint32_t end = 0;   ///< units (bytes of text) from the beginning of the prompt to the end of the block
  /// > 0: first block of an answer (an assistant message) that has so many blocks. Who generated that answer has all of
  /// them, whether or not it ever read them.
  std::uint32_t answer_blocks = 0;
};

/// Reused from request to request.
struct PromptShape {
  std::vector<PromptBlock> blocks;
  std::uint64_t units = 0;     ///< of the whole prompt; at least the end of the last block
  std::uint64_t other = 0;     ///< of `units`, bytes outside of ASCII
  std::uint64_t marks = 0;     ///< of `units`, ASCII punctuation, as far as it was sampled: tells code from prose
  std::uint64_t sampled = 0;   ///< bytes that `marks` was counted in
  std::uint64_t key_hash = 0;  ///< of the name that the client gave the prompt's beginning (prompt_cache_key); 0 = none
  std::uint64_t end_hash = 0;  ///< of the whole prompt; 0 = nothing was hashed

  void clear() {
    blocks.clear();
    units = other = marks = sampled = key_hash = end_hash = 0;
  }
};

/// The name under which an index remembers that somebody answered the prompt that ends in `prompt_hash`.
[[nodiscard]] constexpr std::uint64_t answer_marker(std::uint64_t prompt_hash) {
  std::uint64_t x = prompt_hash ^ 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return (x ^ (x >> 31U)) | 1U;
}

/// For a log: a hash (8 hex digits) for every kLoggedUnits of the prompt, at most kMostLogged of them, with '.' between.
void append_prefix_text(std::string& out, const PromptShape& shape);
inline constexpr std::uint32_t kLoggedUnits = 2048;
inline constexpr std::size_t kMostLogged = 256;

/// Cuts a prompt into blocks, as its pieces come. A block ends every `block_bytes` of a message and where a message
/// ends, so that one more turn of a conversation has all blocks of the turns before it.
class PromptHasher {
 public:
  /// Starts over. `seed`: what else must be equal for two prompts to share a cache (the model).
  void begin(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape);
  /// `kind`: anything that tells this message from others with the same text (its role).
  void begin_message(std::string_view kind, bool is_answer);
  /// Text of the message, of which there may be several; each call is a part of its own ("ab" is not "a", "b").
  void add_text(std::string_view text);
  /// Something that is no text (an image, by its bytes); counts as `units` in the prompt.
  void add_opaque(std::string_view bytes, std::uint32_t units);
  void end_message();
  /// The blocks that lie wholly within the message text are there after each add_text; this completes the shape.
  void end();

  /// Longest prompts: what is beyond is counted, but not cut into blocks (4 million tokens of text).
  static constexpr std::size_t kMaxBlocks = 65'536;

 private:
  void close_block();
  void measure(std::string_view text);

  PromptShape* shape_ = nullptr;
  std::uint32_t block_bytes_ = 256;
  std::uint64_t chain_ = 0;
  std::uint64_t units_ = 0;       // up to here
  std::uint64_t open_units_ = 0;  // of the block that is not complete
  bool open_ = false;
  std::size_t first_block_ = 0;  // of the message
  bool is_answer_ = false;
};

}  // namespace svc::router
