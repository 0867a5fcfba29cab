/* From emissions to keystrokes: greedy CTC, and what each key does to the text before the cursor. */
#include "qwrist_internal.h"

void qw_decoder_reset(qw_decoder *decoder)
{
    decoder->previous = QW_BLANK;
    decoder->emissions = 0;
}

int32_t qw_decoder_step(qw_decoder *decoder, const float *log_probs)
{
    int32_t best = 0;
    for (int32_t label = 1; label < QW_CLASSES; ++label) {
        if (log_probs[label] > log_probs[best]) {
            best = label;
        }
    }
    const bool says = best != decoder->previous && best != QW_BLANK;
    decoder->previous = best;
    ++decoder->emissions;
    return says ? best : QW_NO_KEY;
}

void qw_text_reset(qw_text *text)
{
    text->standing = 0;
}

qw_keystroke qw_text_step(qw_text *text, int32_t label)
{
    qw_keystroke keystroke = {QW_NOTHING, '\0'};
    if (label < 0 || label >= QW_BLANK) {
        return keystroke;
    }
    if (label == QW_BACKSPACE) {
        if (text->standing > 0) {
            --text->standing;
            keystroke.action = QW_ERASE;
        }
    } else if (qw_characters[label] != '\0') {
        ++text->standing;
        keystroke.action = QW_TYPE;
        keystroke.character = qw_characters[label];
    }
    return keystroke;
}
