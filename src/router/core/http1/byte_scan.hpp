// Where a run of allowed bytes ends: sixteen bytes at a time where the processor has SSE2 (every x86-64), by table
// elsewhere and for the last few. The tables of common/core/head_chars.hpp are the rule; the vectors follow them.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <bit>

#include "common/core/head_chars.hpp"

namespace svc::router {

/// What may pass. `allows` is exact; `vector` may refuse more, which costs a look into the table.
struct ValueBytes {
  static bool allows(char c) { return is_value_char(c); }
#if defined(__SSE2__)
  static __m128i vector(__m128i bytes) {
    // Signed: bytes from 0x80 are negative.
    const __m128i controls =
        _mm_and_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)), _mm_cmpgt_epi8(bytes, _mm_set1_epi8(-1)));
    const __m128i refused = _mm_or_si128(controls, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
    return _mm_cmpeq_epi8(refused, _mm_setzero_si128());
  }
#endif
};

struct TargetBytes {
  static bool allows(char c) { return is_target_char(c); }
#if defined(__SSE2__)
  static __m128i vector(__m128i bytes) {
    const __m128i visible =
        _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x20)), _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x7f)));
    return _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')), visible);
  }
#endif
};

/// Letters, digits and '-' by vector, the other token characters by table.
struct TokenBytes {
  static bool allows(char c) { return is_token_char(c); }
#if defined(__SSE2__)
  static __m128i between(__m128i bytes, char low, char high) {
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(static_cast<char>(low - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8(static_cast<char>(high + 1))));
  }
  static __m128i vector(__m128i bytes) {
    const __m128i letters = between(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
    const __m128i others = _mm_or_si128(between(bytes, '0', '9'), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
    return _mm_or_si128(letters, others);
  }
#endif
};

/// The first byte from `at` on that may not pass, or `end`.
template <class Bytes>
[[nodiscard]] inline const char* find_end_of(const char* at, const char* end) {
#if defined(__SSE2__)
  while (end - at >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto refused = static_cast<unsigned>(_mm_movemask_epi8(Bytes::vector(bytes))) ^ 0xffffU;
    if (refused == 0) {
      at += 16;
      continue;
    }
    at += std::countr_zero(refused);
    if (!Bytes::allows(*at)) return at;
    ++at;
  }
#endif
  while (at != end && Bytes::allows(*at)) ++at;
  return at;
}

}  // namespace svc::router
