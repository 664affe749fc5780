"""What the wording of a request tells about what is wanted, beside its meaning.

An embedding knows what a request is about; whether somebody wants it built, mended, judged, planned or explained is
said by a few words that it hardly tells apart ("add a cache", "review the cache", "how does the cache work"). Each cue
is a pattern; together they are the second half of what the classifier sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_POLITE = r"(?:(?:hi|hello|hey)[\w ]{0,15}[,!. ]+)?(?:(?:also|ok|so|quick question|now|next)[,:.] ?)?"
_ASK = (
    r"(?:please,? |pls |kindly |(?:can|could|would|will) (?:you|someone|somebody|anyone|an? colleague)"
    r" (?:please )?(?:help (?:me )?(?:to )?)?|(?:i|we)(?: would|'d| want| need| am about)? ?(?:like )?(?:you )?to )?"
)
_LEAD = rf"{_POLITE}{_ASK}(?:please )?(?:critically |thoroughly |quickly |carefully |independently )?"
_START = rf"^{_LEAD}"
_FOR_PEOPLE = (
    r"(?:mode|queue|board|bot|pages?|forms?|tools?|tracker|system|screen|button|app|service|module|reminders?|workflow"
    r"|step|dashboard|generator|library|plugin|manager|management|portal|editor|viewer|api|game|orders?|integration"
    r"|switch|reporter|selection|upgrades?|checker|runner|trainer|view|mails?|certificates?|history|session)"
)
_NOT_A_VERB = (
    r"(?:(?:code|peer|product|customer|bug|error|crash) )?(?:review|plan|design|explain|fix|check|test|question|audit"
    r"|error|crash|bug|issue|repair|report|reporting|evaluation|validation|diagram|proposal|draft|model|failover)"
)
_VERB = rf"{_START}(?!{_NOT_A_VERB}[- ]{_FOR_PEOPLE}\b)"
_LATER = rf"[.!?:;,\n]\s?{_LEAD}(?:and |then |just )?"
_WORK = (
    r"(?:branch(?:es)?|pull requests?|merge requests?|prs?|mrs?|commits?|diffs?|patch(?:es)?|changesets?"
    r"|repo(?:sitory)?|code ?base|hotfix|change request|submission|pull-request|solution|implementation)"
)
_PAPER = (
    r"(?:adrs?|rfcs?|design docs?|design documents?|design|redesign|architecture|specs?|specification|proposal"
    r"|concepts?"
    r"|outline|roadmap|diagrams?|data model|blueprint of|whiteboard|guideline|threat model|er model"
    r"|(?:decision )?paper"
    r"|design note|strategy|plan|contract|convention|state machine|sketch|acceptance criteria"
    r"|schema|write-?up|approach|erd|requirements (?:document|specification)|requirements(?= for)"
    r"|target (?:state|architecture))"
)
_PRODUCT = (
    r"(?:bot|trackers?|collector|platform|forum|widget|starter|simulator|viewer|reporter|generator|library|plugin"
    r"|components?|website|site|page|landing page|editor|marketplace|client|portal|wizard|calculator|game|board|app"
    r"|system|tool|service|api|module|template|clone|screen|form)"
)
_NO_PRODUCT = (
    r"(?!(?: (?!the|this|these|my|our|your|an?\b|for|of|how|on\b|about|that|to\b|in\b|with)[\w-]+){0,2}"
    rf" {_PRODUCT}\b)"
)
_BUILD = (
    r"(?:build|create|add|implement|make|develop|generate|scaffold|set up|introduce|extend|port|migrate|refactor"
    r"|support|provide|let|allow|enable|put|show|store|move|rename|replace|swap|split|convert|bump|upgrade"
    r"|remove|drop"
    r"|turn|cache|export|import|integrate|wire|expose|send|print|display|hide|teach|increase|speed"
    r"|internationali[sz]e"
    r"|rewrite|rebuild|break|merge|return|use|switch|connect|automate|bundle|log|track|carry|keep|change|take out"
    r"|publish|translate|sort|round|give the|have the|deduplicate|notify|warn|delete|purge|apply|ship|sync)"
)
_MEND = (
    r"(?:fix|repair|resolve|solve|debug|correct|mend|patch|sort out|stop|close|find out why|troubleshoot|reproduce"
    r"|find the (?:cause|race|bug|leak|reason)|hunt|track down|investigate|get [\w ]+ (?:green|working)"
    r"|get rid of (?:it|them|this|that|the (?:\w+ )?(?:errors?|warnings?|race|leak|bug))"
    r"|make (?:it|them|the [\w /.-]+) (?:work|pass|impossible|green)"
    r"|have a look why|look into)"
)
_JUDGE = (
    rf"(?:(?:code |peer |full |thorough |independent |safety |security |performance |accessibility |dependency |quick"
    rf" |another |post-merge |architecture )*"
    rf"(?:review|audit|check|pen test)s?{_NO_PRODUCT}|assess|evaluate (?!options)|inspect|examine|verify"
    rf"|validate|judge"
    r"|critique|proofread|rate (?!limit)|comment on|go (?:over|through)|read through|look (?:over|through)"
    r"|look at (?:pr|mr|my|this|branch|pull|merge)"
    r"|take a look|have a (?:\w+ )?look (?:at|over)|give (?:me |us )?(?:an? )?(?:\w+ )?(?:verdict|feedback|opinion)"
    r"|double-check|sanity|compare my|spot the|walk through the (?:diff|code|change)|run the checks|confirm|vet"
    r"|scrutini[sz]e"
    r"|due diligence|second pair|critically|quality (?:gate|report)|code quality|feedback on|opinion on"
    r"|accept or reject)"
)
_PLAN = (
    rf"(?:design(?!(?:,| and|, and) (?:build|implement|test|ship|code)){_NO_PRODUCT}|architect|draft|sketch"
    rf"|outline|propose|plan|specify|define|model|whiteboard"
    rf"|think through"
    r"|work out|lay (?:out|down)|come up with|formulate|elaborate|set out|decide|suggest|prepare|describe the target"
    r"|only the|just the|just an?|high.level|solution outline|technical design|before (?:we|anyone|anybody)"
    rf"|(?!explain|describe|summari|tell|give me an overview|walk|compare|show"
    rf"|implement|build|reali[sz]e|code|add|fix|error|do we|does|which|who)(?:\w+ )?(?:\w+ )?(?:me |us |up )?(?:the "
    rf"|an? )?(?:[\w-]+ ){{0,3}}{_PAPER}{_NO_PRODUCT})"
)
_EXPLAIN = (
    r"(?:explain|describe|summari[sz]e|clarify|remind|tell (?:me|us)(?! (?:if|whether|what's wrong"
    r"|what is wrong))|walk me|help me understand"
    r"|give me (?:an overview|the pros)|list the|compare (?!my)|interpret|point me|teach me|answer|break down"
    r"|enlighten|show (?:me|us) (?:how|where|which|what|why)(?! you would))"
)
_SOMEBODY = (
    r"(?:i|we|he|she|they|who|somebody|someone|(?:my |our |the |an? )?(?:colleague|intern|contractor|agency|supplier"
    r"|vendor|team|student|candidate|partner))"
)
_DONE = (
    r"(?:changed|wrote|rewrote|rewritten|written|made|implemented|updated|finished|did|done|refactored|fixed|delivered"
    r"|merged|pushed|force-pushed|attached|built|got from|received)"
)
_OFFERED = r"(?:we|i|they|users?|customers?|people|clients?|editors?|teams?|admins?|support|it)"

_PATTERNS: Mapping[str, str] = {
    # what it begins with
    "begins_wh": _START + r"(?:how|what|why|where|which|when|who|whose|whom|what's|who's|how's|under which"
    r"|in which)\b",
    "begins_is_it": r"^(?:so |and )?(?:is|are|was|were|does|do|did|has|have|am|would|will|should|can|could"
    r"|shall|may)\b",
    "begins_can_i": r"^(?:can|could|may|should|do|must) (?:i|we|one)\b",
    "asks_what_became": r"^(?:has|have|was|were|did|is|are)\b[^?]*\b(?:been|yet|ever|already|still|now)\b[^?]*\?$",
    "begins_polite": r"^(?:please|pls|kindly|(?:can|could|would|will) (?:you|someone|somebody))\b",
    "begins_build": rf"{_START}{_BUILD}\b",
    "begins_write": rf"{_START}write\b",
    "begins_mend": rf"{_VERB}{_MEND}\b",
    "begins_judge": rf"{_VERB}{_JUDGE}\b",
    "begins_plan": rf"{_VERB}{_PLAN}\b",
    "begins_explain": rf"{_VERB}{_EXPLAIN}\b",
    "later_build": rf"{_LATER}{_BUILD}\b",
    "later_mend": rf"{_LATER}{_MEND}\b",
    "later_judge": rf"{_LATER}{_JUDGE}\b",
    "later_plan": rf"{_LATER}{_PLAN}\b",
    "later_explain": rf"{_LATER}{_EXPLAIN}\b",
    "begins_noun": r"^(?:an? |the |some |simple |small )?(?:[\w-]+ ){0,3}(?:api|app|service|system|endpoint"
    r"|tool|page|backend"
    r"|button|script|widget|dashboard|form|bot|forum|site|cli|flag|job|check|chart|toggle|target)\b",
    "names_product": rf"\b{_PRODUCT}\b",
    "begins_could": r"^(?:could|can|would) (?:the|we|our|it|they)\b",
    "begins_story": r"^(?:as an? \w+|user story|feature request|story)\b",
    "begins_make_paper": _START + r"(?:create|write|draft|prepare|produce|make|develop|compose|provide|turn|give|need"
    r"|have|get|put|find|define|recommend|work out|come up)(?: with| me| us| up| down)?\b[^.?!\n]{0,50}?"
    + rf"\b{_PAPER}\b{_NO_PRODUCT}",
    "begins_paper": rf"^(?:only |just |first step: ?|(?:an?|the|one|two|some) )*(?:[\w-]+ ){{0,2}}{_PAPER}{_NO_PRODUCT}"
    rf"(?: |:|,|$)",
    "by_paper": r"\b(?:implement|build|realise|realize|code)\b[^.?!\n]{0,30}\b(?:what|as|from|in|by|to|following|per"
    r"|the (?:design|spec|plan|concept|rfc|adr)|rfc|adr)\b[^.?!\n]*\b(?:docs?|specs?|rfcs?|adr|design|decided|written"
    r"|says|agreed|ticket|issue)\b",
    "paper_and_build": rf"{_START}(?:design|plan|draft)(?:,| and)[\w ,]*\b(?:build|implement|test|ship|code)\b",
    "named_like_a_verb": rf"\b{_NOT_A_VERB}[- ]{_FOR_PEOPLE}\b",
    "begins_show": _START + r"(?:show (?:me|us)|find out (?:who|where|which|how|what)|point (?:me|us)"
    r"|(?:i )?need to know|looking for|name)\b",
    "begins_how_could": _START + r"(?:how|what|which)\b[^?]{0,30}\b(?:could|would|might|should|sensible|good|fit)\b",
    "asks_for_paper": rf"\?.*\b(?:{_PAPER}|document|writ(?:e|ing|ten)|diagrams?|only the|on paper|elaborate)\b",
    "asks_for_change": r"\?.*\b(?:please (?:build|add|make)|build one|add (?:that|one|it)|(?:sort|mend|repair|fix)\b"
    r"|needs? (?:fixing|mending)|get rid|make it work|should(?:n't| not) )",
    "asks_for_verdict": r"\?.*\b(?:judge|verif|assess|report|review|check|rate|list|no (?:edits|changes|fixes))\w*\b",
    # what is said about doing it
    "no_building": r"\b(?:no (?:code|implementation|coding)|not? (?:be )?(?:built|implemented|build|implement)"
    r"|without (?:any )?(?:code|coding|implementing|building)|(?:don't|do not) (?:build|implement|code|start|write)"
    r"|nothing (?:gets |is )?(?:built|implemented|changed)|out of scope|implementation (?:follows|comes|is)"
    r"|paper (?:only|first)"
    r"|document only|design (?:only|stage|phase)|spec only|on paper|only the (?:plan|design|schema|spec)"
    r"|i only want the plan"
    r"|before (?:anybody|anyone|we|any) (?:start|write|code|build)|not (?:yaml|the (?:code|scripts))|can come later"
    r"|we'll (?:estimate|build|implement)|not yet|later sprint|leave the code)\b",
    "no_changing": r"\b(?:(?:don't|do not) (?:touch|change|fix|modify|edit)|no (?:changes|edits|fixes)"
    r"|report only|only (?:a|want a) (?:list|report)"
    r"|comments? only|leave (?:the code|it|everything) (?:alone|as)|just (?:a |your )?(?:verdict|opinion|list"
    r"|report)|judge it"
    r"|not a bug|i (?:only|just) want (?:a list|to know)|no need to (?:change|fix)|just (?:curious|asking|wondering"
    r"|tell me))\b",
    "wants_paper": rf"\b{_PAPER}\b",
    "wants_writing": r"\b(?:write (?:it|this|that)? ?(?:up|down)|document it|as a document|in a doc|er diagram"
    r"|as an? (?:adr|rfc|guideline|proposal)"
    r"|pros and cons|trade-?offs|options|recommendation|rationale|reasoning|acceptance criteria|open questions"
    r"|phases|risks)\b",
    "names_work": rf"\b{_WORK}\b",
    "names_mine": r"\b(?:my|the|this|his|her|their|last|latest|intern's|contractor's|candidate's) (?:[\w/'-]+ ){0,2}"
    + _WORK
    + r"\b",
    "names_own_code": r"\b(?:my|his|her|their|your) (?:[\w/'-]+ ){0,2}(?:code|tests?|solution|implementation|fix|change"
    r"|changes|regex|query|sql|functions?|components?|module)\b",
    "names_number": r"(?:\b(?:pr|mr|pull request|merge request|commit)\b #?!?[0-9a-f]+|![0-9]+)",
    "wants_verdict": r"\b(?:verdict|review|reviewed|reviewers?|feedback|audit|critique|critici[sz]e|lgtm|once-over"
    r"|objections?|approve|acceptable|ready to merge"
    r"|before i merge|safe to (?:deploy|merge)|any good|what do you think|be harsh|quality gate|findings"
    r"|vulnerabilit(?:y|ies)"
    r"|code smells|sane|sanity|does it pass|meets?|maintainab|quality)\b",
    "wants_answer": r"\b(?:tell me|explain|i'd like to know|i want to know|want to understand|wonder(?:ing)?"
    r"|curious|any idea|do you know|does anyone"
    r"|looking for|i don't (?:get|understand)|overview|your opinion|remember|what exactly|in a few sentences"
    r"|clarify|reasoning behind"
    r"|question|recommended way|is it (?:safe|ok|possible|true)|difference between|remind|how come"
    r"|documentation on|who knows)\b",
    "wants_to_know": r"\b(?:(?:like|want|need|trying|love|curious) to (?:know|understand|learn|see why)"
    r"|wonder(?:ing)?|curious|no idea|not sure"
    r"|confused|question is|what do i tell|any advice|arguments)\b",
    "should": r"^[^?]*\b(?:should|must|ought to|needs? to|has to|have to)\b(?! not|n't)",
    "although": r"\b(?:although|even though|though|despite|but (?:it|the|is|they|not|when|then|nothing|only)"
    r"|yet|instead of|money is taken|supposed to)\b",
    "judges_work": rf"\b(?:review|check|judge|verify|assess|assessment|evaluate|examine|audit|look|approve"
    rf"|accept|merge|wrong with|ready|opinion|feedback"
    rf"|good|safe|pass(?:es)?|prove|fulfils?|meets?|introduces?)\b.*\b(?:{_WORK}|code|tests?|changes?|delivered"
    rf"|delivery)\b",
    "wants_it": r"\b(?:we|i)(?: would|'d)? (?:need|want|like|love)\b|\b(?:i'd|we'd) (?:like|love)\b"
    r"|\bcustomers keep asking\b|\bit (?:would|should)\b",
    "wants_change": r"\b(?:please add|add that|should (?:be|show|have|print|carry|ignore|return|support|get)"
    r"|make it (?:possible|configurable)|needs? to (?:be|have|support)"
    r"|instead of|rather than|so that|take it out|give us|let (?:people|users|teams|them|customers)"
    r"|could we (?:have|get)|can we (?:have|get)"
    r"|would it be possible|would be nice|how about|why don't we|what about|there's no|has none|nobody uses)\b",
    "must_have": r"\b(?:with|including|requirements?|fields|has|have|per|each|supports?|configurable|optional"
    r"|default)\b",
    "somebody_did": rf"\b{_SOMEBODY}(?: have| has|'ve| just| already)* {_DONE}\b|\bthat was {_DONE}\b"
    rf"|\b(?:is|are) (?:done|finished|ready)\b|\bof (?:last week|yesterday|this morning|the sprint)\b",
    "is_it_good": r"\b(?:is|are|does|do|did|can|would|lgtm|how (?:good|well))\b[^?.]{0,80}\b(?:good enough|correct"
    r"|ready|safe|thread safe|reversible|any good|ok|sound|fulfil|meet|solve|follow|hold|break|merge|merged|accept"
    r"|malicious|holes?|edge case|worth keeping)\b",
    "lists_faults": r"\b(?:find|list|report|look for|spot|mark|name) (?:all |any |possible |the |every )*(?:bugs?"
    r"|problems?|code smells|smells|mistakes|vulnerabilities|violations|dead code|races?|holes)",
    "removal": r"\b(?:get rid of|remove|drop|take out|delete|purge) (?:all |the |our )*(?:dead|unused|old"
    r"|obsolete|legacy"
    r"|deprecated|[\w-]+(?: under| from|$|,| and everything))|\b(?:no ?body|no one|nothing) (?:uses|imports|needs)"
    r"|\bany ?more\b",
    "because_of_fault": r"[,;:.(] ?(?:it|they|this|that|currently|which|because|since|as|one|customers|users|at the"
    r" moment)\b[^.?!]*\b(?:fails?|rejects?|crash(?:es)?|refuses?|kills?|breaks?|ignores?|throws?|hammers?|freezes?"
    r"|loses?|confused|wrong|forgets?|expires?|chokes?|twice|never|still|empty)\b",
    # what is said about what is there
    "fault": r"(?<!not a )\b(?:bugs?|broken|broke|crash(?:es|ed|ing)?|fail(?:s|ed|ing|ure)?|errors?|exception|wrong"
    r"|incorrect|regression|leak(?:s|ing)?|race"
    r"|deadlocks?|segfaults?|corrupts?|corruption|flaky|hangs?|freezes?|stuck|stalls?|drops?|lost|loses"
    r"|vanish(?:es)?|disappears?|duplicates?"
    r"|typo|dead|off-by-one|misses|missing|garbled|empty|stale|twice|rejected|denied|bounce|swallows?|overwrites?)\b",
    "fault_trace": r"traceback|\b\w+(?:error|exception)\b:?|stack trace|segmentation fault|\bat [\w.]+\s?\("
    r"|\bline \d+\b",
    "fault_status": r"\b(?:400|401|403|404|409|422|429|500|502|503|504|5xx)\b",
    "not_working": r"\b(?:doesn't|does not|don't|do not|isn't|is not|aren't|won't|can't|cannot|can not"
    r"|no longer|never|stopped|nobody can|nothing happens"
    r"|impossible|not what|must(?:n't| not)|stop working|hasn't|didn't|unable)\b",
    "reported": r"\b(?:since (?:the|yesterday|we|this|last)|after (?:the|we|a|an|about|upgrading)"
    r"|when(?:ever)? (?:i|a|the|we|two|you|someone|users?)|only (?:in|on|with|when|for|after)"
    r"|happens|sometimes|occasionally|intermittent(?:ly)?|every (?:few|tenth|time)|in production|under load"
    r"|reproduc|steps:|expected|actual|customers say|users? (?:get|see|say|report))\b",
    "observed": rf"\b{_OFFERED} (?:are|is|gets?|sees?|shows?|says?|goes?|ends?|sends?|comes?|was|were|keeps?)\b",
    "present_fault": r"\b(?:shows?|returns?|gives?|sends?|says?|prints?|treats?|ignores?|takes|keeps?|adds"
    r"|counts|points|reports|displays) (?:the |an? |only |yesterday|another|old|raw|too|up |\d)",
    "want_mended": r"\b(?:fix(?:ed)?|repair|sort (?:it|this) out|asap|make [\w ]+ work|work again|stop (?:that"
    r"|it|this)|must (?:not|never)|correct (?:it|that|this)|corrected"
    r"|get them? green|remove (?:it|the race)|find (?:and|the)|close (?:it|them)|recovered|get rid of)\b",
    "asks": r"\?",
    "asks_at_end": r"\?\s*$",
    "says_after_asking": r"\?.*[.!]\s*\S",
    "exclaims": r"!",
    # how it is written
    "listed": r"(?:^|\n)\s*(?:[-*]|\d+[.)]) |,[^,\n]+,[^,\n]+,",
    "story_colon": r"^[^.?!\n]{0,60}:",
    "code": r"\b\w+\(\)|`[^`]+`|\b\w+/[\w./]+|\b\w+\.(?:py|ts|tsx|js|go|rs|java|sql|md|yaml|toml)\b",
    "short": r"^\S+(?:\s+\S+){0,5}$",
    "long": r"^(?:\S+\s+){30,}",
    "very_long": r"^(?:\S+\s+){50,}",
    # how much it is
    "small_thing": r"\b(?:typo|rename|link|button|flag|label|text|default|header|column|icon|constant|page size"
    r"|one (?:line|file|page)|single|quick|short|simple|small|just|only)\b",
    "large_thing": r"\b(?:distributed|multi-?(?:tenan\w+|region|device)|consensus|raft|shard\w*|exactly.once"
    r"|encryption|zero.downtime|without downtime|migrat\w+ (?:from|the)|replicat\w+|failover"
    r"|crdt|real.?time|concurren\w+|event sourc\w+|collaborative|offline|conflict\w*|partition\w*|leader"
    r"|deterministic|compiler|planner|engine|ledger|reconcil\w+|lock-free|memory ordering"
    r"|whole (?:code ?base|cluster|suite|api)|all \d+|end.to.end|isolation|fault injection|idempoten\w+|kafka"
    r"|streaming|active-active|guarantees?)\b",
    "numbers": r"\b\d[\d,.]*(?:k|m|gb|tb| ?(?:million|billion|thousand|events|rows|gb|ms|tenants|endpoints))",
}
_COMPILED = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}
NAMES: tuple[str, ...] = tuple(_PATTERNS)
"""In the order of `found`; trained weights hold for exactly these."""


_READ_CHARACTERS = 2000
"""What is wanted is said early; an embedder reads no further either. It also bounds what a pattern can cost."""


def folded(request: str) -> str:
    """In lower case with plain quotes, white space within lines folded."""
    lines = (" ".join(line.split()) for line in request[:_READ_CHARACTERS].lower().replace("’", "'").splitlines())
    return "\n".join(line for line in lines if line)


def found(request: str) -> tuple[float, ...]:
    """For each of NAMES 1.0 where the request has the cue, else 0.0."""
    text = folded(request)
    return tuple(float(bool(pattern.search(text))) for pattern in _COMPILED.values())
