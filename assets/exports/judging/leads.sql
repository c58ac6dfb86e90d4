-- Derives the ok_ columns. A lead is compared with leads captured before it; versions of one lead are one lead.
-- Inputs: rows, facts, no_intent_words (word).
WITH plain AS (
    SELECT
        r.*,
        nullif(regexp_replace(r.phone, '[^0-9]', '', 'g'), '') AS digits,
        lower(trim(r.email)) AS mailbox,
        lower(trim(r.account_name)) AS customer,
        lower(trim(coalesce(r.need_type, r.need))) AS subject,
        lower(trim(r.need)) AS wording
    FROM rows AS r
),
leads AS (
    SELECT
        lead_id,
        min(captured_at) AS captured_at,
        arg_max(digits, _row) AS digits,
        arg_max(mailbox, _row) AS mailbox,
        arg_max(customer, _row) AS customer,
        arg_max(subject, _row) AS subject
    FROM plain
    WHERE lead_id IS NOT NULL
    GROUP BY lead_id
),
firsts AS (
    SELECT
        lead_id,
        first_value(lead_id) OVER (PARTITION BY digits ORDER BY captured_at NULLS LAST, lead_id) AS first_by_phone,
        first_value(lead_id) OVER (PARTITION BY mailbox ORDER BY captured_at NULLS LAST, lead_id) AS first_by_email,
        lag(captured_at) OVER (PARTITION BY customer, subject ORDER BY captured_at NULLS LAST, lead_id) AS need_stated_before
    FROM leads
)
SELECT
    r._row,
    r.captured_at < f.export_end AS ok_captured_past,
    r.recorded_at <= r.captured_at + INTERVAL 24 HOUR AS ok_recorded_in_time,
    CASE
        WHEN coalesce(r.digits, r.mailbox) IS NOT NULL
            THEN (r.digits IS NULL OR o.first_by_phone = r.lead_id) AND (r.mailbox IS NULL OR o.first_by_email = r.lead_id)
    END AS ok_contact_once,
    CASE
        WHEN r.customer IS NOT NULL AND r.subject IS NOT NULL
            THEN coalesce(r.captured_at > o.need_stated_before + to_days(f.duplicate_need_days), TRUE)
    END AS ok_need_once,
    -- A need is vague where nothing but the vague words and marks is left of it.
    CASE
        WHEN r.wording IS NOT NULL
            THEN regexp_matches(regexp_replace(r.wording, f.vague_pattern, '', 'g'), '[\p{L}\p{N}]')
    END AS ok_need_clear,
    CASE
        WHEN f.has_needs THEN r.wording IS NOT NULL AND r.wording NOT IN (SELECT word FROM no_intent_words)
    END AS ok_intent_stated,
    CASE
        WHEN length(r.digits) >= 5
            THEN length(replace(r.digits, r.digits[1], '')) > 0 AND NOT contains('0123456789012345', r.digits) AND NOT contains('9876543210', r.digits)
    END AS ok_phone_real
FROM plain AS r
CROSS JOIN facts AS f
LEFT JOIN firsts AS o ON o.lead_id = r.lead_id
ORDER BY r._row
