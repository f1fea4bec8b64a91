"""Messages that ask no business for a call: greetings, small talk, complaints, and questions about things that people also ask for.

People who give examples of calls seldom write these down, and a model that has not seen any calls a tool for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from smidgen.core.rows import evenly
from smidgen.text.words import languages

_LOOKED_AT = 200


def general_messages(texts: Sequence[str], most: int, known: Iterable[str] = ()) -> list[str]:
    """At most so many messages in the language of most of the texts, none of those that are known; none in a language that has none here.

    Raises MissingExtra if the language cannot be told."""
    if most <= 0:
        return []
    told = Counter(one for one in languages(evenly(texts, _LOOKED_AT)) if one is not None)
    language = told.most_common(1)[0][0] if told else ""
    taken = set(known)
    return list(evenly([one for one in _MESSAGES.get(language, "").splitlines() if one not in taken], most))


_MESSAGES = {
    "en": """\
Hello
Hi there
Good morning
Good evening
Thank you
Thanks a lot, that was all
ok
Great, perfect
Bye
No, thanks
Are you a robot?
Are you a real person?
What can you do?
What is your name?
Tell me a joke
Write me a poem
What is the weather like?
What is the capital of Spain?
Who won the game?
How are you?
I want to speak to a person
Can somebody call me back?
I have a complaint
I am not happy with your service
I waited far too long
Your staff were very friendly
I was very satisfied last time
Your website does not work
I cannot log in
I forgot my password
Where are you?
Is there parking?
Do you have a phone number?
Can I pay by card?
Do you take credit cards?
Can I pay in instalments?
Why is my bill so high?
I have already paid
Do you have jobs?
Who is the owner?
Do you offer a discount?
Do you speak German?
How long does it take?
How long does it usually take until I hear from you?
How long is it valid?
How long in advance must I do that?
What does it cost if I cancel?
Is it free of charge?
Who pays for it?
What happens if I am late?
What happens if I miss the appointment?
What happens if I do not pay in time?
What happens if something gets lost?
Until when can I cancel?
Until when can I change my order?
Can I still change my order later?
How does it work?
How do I know that it worked?
What do I need for it?
What should I bring?
Do I need an account?
Do I need a receipt?
Do I have to register?
Do I get a confirmation by e-mail?
Will I get a reminder?
Is it insured?
Is there a guarantee?
Is a deposit needed?
What is included in the price?
What is the difference between them?
Which one is better?
Which one do you recommend?
Is it suitable for children?
May I bring somebody?
May somebody else pick it up?
Why is it so expensive?
Why did it take so long?
Why have I not heard from you?
Where do I find my number?
Where can I see my data?
What do you do with my data?
How often may I do that?
How do you deal with complaints?
What are your terms?
Do you deliver abroad?
Is delivery free?
Do you also work at weekends?
Does the contract end by itself?
How much notice must I give?
Can I get my money back?
When do I get my money back?
What is meant by that?
I do not understand the letter that you sent me
It arrived, everything is fine
It went well, thank you
""",
    "de": """\
Hallo
Hi
Guten Morgen
Guten Abend
Danke
Vielen Dank, das war alles
ok
Super, passt
Tschüss
Nein, danke
Bist du ein Roboter?
Sind Sie ein echter Mensch?
Was können Sie?
Wie heißt du?
Erzähl mir einen Witz
Schreib mir ein Gedicht
Wie ist das Wetter?
Was ist die Hauptstadt von Spanien?
Wer hat das Spiel gewonnen?
Wie geht es Ihnen?
Ich möchte mit einem Menschen sprechen
Kann mich jemand zurückrufen?
Ich habe eine Beschwerde
Ich bin mit Ihrem Service nicht zufrieden
Ich habe viel zu lange gewartet
Ihre Mitarbeiter waren sehr freundlich
Beim letzten Mal war ich sehr zufrieden
Ihre Webseite geht nicht
Ich kann mich nicht anmelden
Ich habe mein Passwort vergessen
Wo sind Sie?
Gibt es Parkplätze?
Haben Sie eine Telefonnummer?
Kann ich mit Karte zahlen?
Nehmen Sie Kreditkarten?
Kann ich in Raten zahlen?
Warum ist meine Rechnung so hoch?
Ich habe schon bezahlt
Haben Sie freie Stellen?
Wer ist der Chef?
Geben Sie Rabatt?
Sprechen Sie Englisch?
Wie lange dauert das?
Wie lange dauert es normalerweise, bis ich von Ihnen höre?
Wie lange ist das gültig?
Wie lange vorher muss ich das machen?
Was kostet es, wenn ich absage?
Ist das kostenlos?
Wer bezahlt das?
Was passiert, wenn ich zu spät komme?
Was passiert, wenn ich den Termin verpasse?
Was passiert, wenn ich nicht rechtzeitig zahle?
Was passiert, wenn etwas verloren geht?
Bis wann kann ich absagen?
Bis wann kann ich meine Bestellung ändern?
Kann ich meine Bestellung später noch ändern?
Wie funktioniert das?
Woher weiß ich, dass es geklappt hat?
Was brauche ich dafür?
Was soll ich mitbringen?
Brauche ich ein Konto?
Brauche ich einen Kassenzettel?
Muss ich mich registrieren?
Bekomme ich eine Bestätigung per E-Mail?
Bekomme ich eine Erinnerung?
Ist das versichert?
Gibt es eine Garantie?
Muss man etwas anzahlen?
Was ist im Preis enthalten?
Was ist der Unterschied?
Was ist besser?
Was empfehlen Sie?
Ist das für Kinder geeignet?
Darf ich jemanden mitbringen?
Darf es auch jemand anders abholen?
Warum ist das so teuer?
Warum hat das so lange gedauert?
Warum habe ich nichts von Ihnen gehört?
Wo finde ich meine Nummer?
Wo sehe ich meine Daten?
Was machen Sie mit meinen Daten?
Wie oft darf ich das machen?
Wie gehen Sie mit Beschwerden um?
Wie sind Ihre Bedingungen?
Liefern Sie ins Ausland?
Ist die Lieferung kostenlos?
Arbeiten Sie auch am Wochenende?
Endet der Vertrag von selbst?
Wie lang ist die Frist?
Bekomme ich mein Geld zurück?
Wann bekomme ich mein Geld zurück?
Was bedeutet das?
Ich verstehe Ihren Brief nicht
Es ist angekommen, alles in Ordnung
Es hat alles geklappt, danke
""",
}
"""By language; a message a line."""
